#include <fmt/format.h>

#include <ostream>

#include "analysis/export/export.h"
#include "analysis/quantity_text.h"
#include "app/cli/program.h"

namespace hvsim::app {

int export_command(const analysis::ExportRequest& request, const Surroundings& surroundings) {
    const analysis::ExportResult result = analysis::export_trace(request);
    std::ostream& err = surroundings.err;
    if (result.unknown != 0)
        err << fmt::format(
            "hvsim: {} events are of kinds that this program does not know; they "
            "are left out\n",
            analysis::grouped(result.unknown));
    if (!result.end_text.empty())
        err << fmt::format("hvsim: {}; what was exported ends there\n", result.end_text);
    return result.status == sim::TraceStatus::damaged ? kExitConfig : kExitMet;
}

}  // namespace hvsim::app
