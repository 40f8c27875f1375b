#include <fmt/format.h>

#include <ostream>

#include "analysis/page/page.h"
#include "app/cli/program.h"
#include "app/whole_file.h"

namespace hvsim::app {

int report_command(const ReportArguments& arguments, const Surroundings& surroundings) {
    const analysis::Page page = analysis::make_page(arguments.trace);
    write_whole_file(arguments.output, page.html);
    if (!page.warning.empty()) surroundings.err << "hvsim: " << page.warning << '\n';
    return kExitMet;
}

}  // namespace hvsim::app
