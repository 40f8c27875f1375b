#include <ostream>

#include "analysis/compare/comparison.h"
#include "app/cli/program.h"
#include "app/cli/rerun.h"
#include "app/whole_file.h"

namespace hvsim::app {
namespace {

int exit_code(analysis::ComparisonResult result) {
    switch (result) {
        case analysis::ComparisonResult::same:
            return kExitMet;
        case analysis::ComparisonResult::different:
            return kExitUnmet;
        case analysis::ComparisonResult::not_comparable:
            break;
    }
    return kExitConfig;
}

}  // namespace

int diff_command(const DiffArguments& arguments, const Surroundings& surroundings) {
    analysis::Comparison comparison =
        analysis::compare_files(arguments.a, arguments.b, arguments.anyway);
    const bool parted = comparison.traces && comparison.traces->parted &&
                        comparison.result == analysis::ComparisonResult::different;
    if (parted && !arguments.no_rerun) {
        const auto program = [&](const std::filesystem::path& named) {
            return named.empty() ? surroundings.program : named;
        };
        add_states(comparison, program(arguments.program_a), program(arguments.program_b));
    }
    if (arguments.json == "-") {
        surroundings.out << analysis::comparison_json(comparison) << std::flush;
    } else {
        if (!arguments.json.empty())
            write_whole_file(arguments.json, analysis::comparison_json(comparison));
        surroundings.out << analysis::comparison_text(comparison, arguments.all_statistics)
                         << std::flush;
    }
    return exit_code(comparison.result);
}

}  // namespace hvsim::app
