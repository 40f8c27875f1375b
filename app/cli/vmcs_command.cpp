#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "app/cli/program.h"
#include "app/control_block_file.h"
#include "sim/error.h"

namespace hvsim::app {

int vmcs_command(const VmcsArguments& arguments, const Surroundings& surroundings) {
    const std::vector<DumpedBlock> blocks = read_control_blocks(arguments.file);
    BlockSelection selection;
    selection.differences = arguments.differences;
    selection.field = arguments.field;
    if (arguments.dump != 0) {
        selection.dump = arguments.dump;
        if (std::none_of(blocks.begin(), blocks.end(), [&arguments](const DumpedBlock& block) {
                return block.number == arguments.dump;
            }))
            throw sim::ConfigError(
                fmt::format("{} has no dump {}", arguments.file.string(), arguments.dump),
                fmt::format("it has {} dump{}", blocks.size(), blocks.size() == 1 ? "" : "s"));
    }
    print_control_blocks(blocks, selection, surroundings.out);
    if (blocks.empty()) surroundings.err << "hvsim: the file has no dumps\n";
    return kExitMet;
}

}  // namespace hvsim::app
