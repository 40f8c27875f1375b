#include "app/exit_codes.h"

#include <fmt/format.h>

namespace hvsim::app {

std::string exit_code_table() {
    std::string text = "| command |";
    std::string rule = "|---|";
    for (std::size_t code = 0; code < kExitCodes.front().meanings.size(); ++code) {
        text += fmt::format(" {} |", code);
        rule += "---|";
    }
    text += '\n' + rule + '\n';
    for (const ExitCodeRow& row : kExitCodes) {
        text += fmt::format("| `hvsim {}` |", row.command);
        for (const std::string_view meaning : row.meanings)
            text += fmt::format(" {} |", meaning.empty() ? "-" : meaning);
        text += '\n';
    }
    return text;
}

}  // namespace hvsim::app
