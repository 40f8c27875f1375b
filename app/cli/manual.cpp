#include "app/cli/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include <algorithm>

#include "app/exit_codes.h"
#include "app/version.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

std::vector<const CLI::App*> subcommands_of(const CLI::App& program) {
    return program.get_subcommands([](const CLI::App*) { return true; });
}

bool takes_value(const CLI::Option& option) {
    return option.get_items_expected_max() > 0;
}

/// "--json", "-o": what may stand on the command line; empty for positional ones.
std::vector<std::string> names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    return names;
}

/// Text in roff: no line of it is a request, hyphens stay what they are.
std::string roff(std::string_view text) {
    std::string out;
    bool line_begins = true;
    for (const char c : text) {
        if (line_begins && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
        line_begins = c == '\n';
    }
    return out;
}

std::string option_text(const CLI::Option& option) {
    const std::string value = takes_value(option) ? " \\fIVALUE\\fR" : "";
    std::string name;
    for (const std::string& one : names_of(option))
        name += fmt::format("{}\\fB{}\\fR{}", name.empty() ? "" : ", ", roff(one), value);
    if (name.empty()) name = fmt::format("\\fI{}\\fR", roff(option.get_name(true)));
    return fmt::format(".TP\n{}\n{}\n", name, roff(option.get_description()));
}

std::string synopsis(const CLI::App& command) {
    std::string text = fmt::format("\\fBhvsim {}\\fR", roff(command.get_name()));
    for (const CLI::Option* option : command.get_options())
        if (option->get_positional() && names_of(*option).empty())
            text += fmt::format(" \\fI{}\\fR", roff(option->get_name(true)));
    return text + " [\\fIoptions\\fR]\n";
}

/// The examples that stand below a command's help.
std::string examples(const CLI::App& command) {
    const std::string footer = command.get_footer();
    const std::size_t first_line = footer.find('\n');
    if (first_line == std::string::npos) return {};
    return ".SH EXAMPLES\n.nf\n" + roff(footer.substr(first_line + 1)) + "\n.fi\n";
}

std::string exit_status(std::string_view command) {
    const auto row = std::find_if(kExitCodes.begin(), kExitCodes.end(),
                                  [&](const ExitCodeRow& one) { return one.command == command; });
    if (row == kExitCodes.end()) return {};
    std::string text = ".SH EXIT STATUS\n";
    for (std::size_t code = 0; code < row->meanings.size(); ++code)
        if (!row->meanings[code].empty())
            text += fmt::format(".TP\n{}\n{}\n", code, roff(row->meanings[code]));
    return text;
}

std::string title(const std::string& name) {
    std::string upper = name;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return fmt::format(".TH {} 1 \"\" \"hvsim {}\"\n", roff(upper), kVersion);
}

std::string program_page(const CLI::App& program) {
    std::string text = title("hvsim");
    text += ".SH NAME\nhvsim \\- simulator of an x86\\-64 server that runs a hypervisor\n";
    text += ".SH SYNOPSIS\n\\fBhvsim\\fR \\fIcommand\\fR [\\fIarguments\\fR]\n";
    text += ".SH DESCRIPTION\n" + roff(program.get_description()) + "\n.SH COMMANDS\n";
    for (const CLI::App* command : subcommands_of(program))
        text += fmt::format(".TP\n\\fB{}\\fR\n{}; see \\fBhvsim\\-{}\\fR(1)\n",
                            roff(command->get_name()), roff(command->get_description()),
                            roff(command->get_name()));
    text += ".SH OPTIONS\n";
    for (const CLI::Option* option : program.get_options()) text += option_text(*option);
    return text;
}

}  // namespace

std::string bash_completion(const CLI::App& program) {
    std::vector<std::string> commands;
    std::string cases;
    for (const CLI::App* command : subcommands_of(program)) {
        commands.push_back(command->get_name());
        std::vector<std::string> options;
        for (const CLI::Option* option : command->get_options())
            for (const std::string& name : names_of(*option)) options.push_back(name);
        cases += fmt::format("        {}) options='{}' ;;\n", command->get_name(),
                             fmt::join(options, " "));
    }
    return fmt::format(R"(# bash completion for hvsim
_hvsim() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} options=
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{}    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    fi
}}
complete -o default -F _hvsim hvsim
)",
                       fmt::join(commands, " "), cases);
}

std::string manual_page(const CLI::App& program, const std::string& command) {
    if (command.empty()) return program_page(program);
    std::vector<std::string> names;
    for (const CLI::App* one : subcommands_of(program)) {
        names.push_back(one->get_name());
        if (one->get_name() != command) continue;
        std::string text = title("hvsim-" + command);
        text += fmt::format(".SH NAME\nhvsim\\-{} \\- {}\n.SH SYNOPSIS\n{}", roff(command),
                            roff(one->get_description()), synopsis(*one));
        text += ".SH OPTIONS\n";
        for (const CLI::Option* option : one->get_options()) text += option_text(*option);
        return text + examples(*one) + exit_status(command) + ".SH SEE ALSO\n\\fBhvsim\\fR(1)\n";
    }
    throw sim::ConfigError(fmt::format("there is no command \"{}\"", command),
                           fmt::format("there are {}", fmt::join(names, ", ")));
}

}  // namespace hvsim::app
