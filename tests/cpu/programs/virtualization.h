#pragma once
// Guest programs under a host in assembly (the folders vmx/ and svm/). The first lines of a program
// are a comment that says what must come of it:
//
//   exit: NAME FIELD=VALUE...       each exit, or VMLAUNCH or #VMEXIT(INVALID) refused, in order
//   fail: NAME FIELD=VALUE...       an entry that ends in VMfailValid with this error
//   event: vector=V FIELD=VALUE...  each event that the handlers of machine.inc have seen, in order
//   result: INDEX=VALUE...          what the program has stored
//   model: NAME                     another processor model
//   ends: shutdown                  where the processor does not halt
//   nmi:                            an NMI arrives when the processor waits
//   sipi: VECTOR                    a start-up IPI does
//
// A VALUE is a number, a label, a label and a number (label+3), or one of these and a mask of the
// bits that count (0x10/0xff). FIELD is a VMCS or VMCB field that the host notes, a register of the
// guest (RAX to R15), `at` (the label of the entry) or `rule` (the model's number of a broken
// rule).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cpu/programs/bench.h"

namespace hvsim::cpu::programs {

/// One line of a header.
struct Expectation {
    std::string kind, name;
    std::vector<std::pair<std::string, std::string>> values;
    std::string text;
};

inline std::filesystem::path program_folder(const std::string& folder) {
    return std::filesystem::path(HVSIM_SOURCE_DIR) / "tests/cpu/programs" / folder;
}

/// Names of the programs in a folder, in alphabetic order ("vmx/cpuid").
inline std::vector<std::string> programs_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(program_folder(folder)))
        if (entry.path().extension() == ".S")
            names.push_back(folder + "/" + entry.path().stem().string());
    std::sort(names.begin(), names.end());
    return names;
}

inline std::vector<Expectation> read_header(const std::string& name) {
    std::ifstream file(program_folder(name + ".S"));
    REQUIRE(file.is_open());
    std::vector<Expectation> lines;
    std::string line;
    while (std::getline(file, line) && line.starts_with("//")) {
        std::istringstream words(line.substr(2));
        Expectation expected;
        words >> expected.kind;
        if (!expected.kind.ends_with(':') || expected.kind.size() < 2) continue;
        expected.kind.pop_back();
        expected.text = line;
        const std::set<std::string> kinds{"exit", "fail", "event", "result",
                                          "ends", "nmi",  "sipi",  "model"};
        if (!kinds.contains(expected.kind)) continue;
        std::string word;
        while (words >> word) {
            const std::size_t equals = word.find('=');
            if (equals == std::string::npos)
                expected.name = word;
            else
                expected.values.emplace_back(word.substr(0, equals), word.substr(equals + 1));
        }
        lines.push_back(expected);
    }
    return lines;
}

/// The value that a header names, and the mask of the bits that count.
inline std::pair<std::uint64_t, std::uint64_t> value_of(const Program& program, std::string text) {
    std::uint64_t mask = ~std::uint64_t{0};
    if (const std::size_t slash = text.find('/'); slash != std::string::npos) {
        mask = std::stoull(text.substr(slash + 1), nullptr, 0);
        text.resize(slash);
    }
    std::uint64_t offset = 0;
    if (const std::size_t plus = text.find('+'); plus != std::string::npos) {
        offset = std::stoull(text.substr(plus + 1), nullptr, 0);
        text.resize(plus);
    }
    const bool number = text.front() >= '0' && text.front() <= '9';
    const std::uint64_t base = number ? std::stoull(text, nullptr, 0) : program[text];
    return {base + offset, mask};
}

inline constexpr std::array<const char*, 16> kRegisterNames{
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

/// What a run of a program has left: one of its exits or failed entries.
struct NotedExit {
    std::string kind, name;
    std::map<std::string, std::uint64_t> fields;

    std::string text() const {
        std::string all = kind + ": " + name;
        for (const auto& [field, value] : fields)
            if (field.starts_with("EXIT") || field.ends_with("RIP") || field == "at")
                all += fmt::format(" {}={:#x}", field, value);
        return all + "\n";
    }
};

/// Numbers of the rules that entries have broken, in order.
class BrokenRules final : public sim::EventSink {
  public:
    void on_event(const sim::Event& event) override {
        if (event.kind == sim::EventKind::kVmEntryFailed) rules.push_back(event.arguments[0]);
    }
    std::vector<std::uint64_t> rules;
};

/// What differs from a line of the header, a line of text for each value.
inline std::string differences(const Program& program, const Expectation& expected,
                               const std::map<std::string, std::uint64_t>& actual) {
    std::string text;
    for (const auto& [field, wanted] : expected.values) {
        const auto [value, mask] = value_of(program, wanted);
        const auto found = actual.find(field);
        if (found == actual.end())
            text += fmt::format("{}\n    there is no {}\n", expected.text, field);
        else if ((found->second & mask) != (value & mask))
            text += fmt::format("{}\n    {} is {:#x}, not {:#x}\n", expected.text, field,
                                found->second, value);
    }
    return text;
}

inline std::string exit_differences(const Program& program, const std::vector<Expectation>& header,
                                    const std::vector<NotedExit>& exits) {
    std::string text;
    std::size_t next = 0;
    for (const Expectation& expected : header) {
        if (expected.kind != "exit" && expected.kind != "fail") continue;
        if (next == exits.size()) return text + "not reached: " + expected.text + "\n";
        const NotedExit& exit = exits[next++];
        if (exit.kind != expected.kind || exit.name != expected.name)
            return text + expected.text + "\n    is " + exit.text();
        text += differences(program, expected, exit.fields);
    }
    if (next < exits.size())
        text += fmt::format("{} more, the first: {}", exits.size() - next, exits[next].text());
    return text;
}

inline std::string log_differences(Machine& m, const std::vector<Expectation>& header) {
    std::string text;
    unsigned events = 0;
    for (const Expectation& expected : header) {
        if (expected.kind == "event") {
            const LoggedEvent event = m.event(events++);
            text += differences(m.program, expected,
                                {{"vector", event.vector},
                                 {"error", event.error_code},
                                 {"rip", event.rip},
                                 {"cs", event.cs},
                                 {"rflags", event.rflags},
                                 {"rsp", event.rsp},
                                 {"cr2", event.cr2}});
        } else if (expected.kind == "result") {
            std::map<std::string, std::uint64_t> results;
            for (const auto& [index, value] : expected.values)
                results[index] = m.result(static_cast<unsigned>(std::stoul(index)));
            text += differences(m.program, expected, results);
        }
    }
    if (m.events() != events) text += fmt::format("{} events, not {}\n", m.events(), events);
    return text.empty() ? text : text + m.story();
}

/// Runs a program of the folder to its end and holds what came of it against its header. `note`
/// makes a NotedExit of a record's address.
template <typename Extension, typename Note>
void check_program(const std::string& name, const std::string& model, Note&& note) {
    const std::vector<Expectation> header = read_header(name);
    Options options;
    options.model = model;
    for (const Expectation& line : header)
        if (line.kind == "model") options.model = line.name;
    Machine m(name, options);
    Extension operation(m.core());
    m.core().set_virtualization(&operation);
    BrokenRules rules;
    m.recorder.set_sink(&rules, sim::EventLevel::event);
    const bool shutdown = std::any_of(header.begin(), header.end(),
                                      [](const Expectation& e) { return e.kind == "ends"; });
    End end = m.run(20 * sim::kMillisecond);
    for (const Expectation& line : header) {
        if (line.kind == "nmi")
            m.send_nmi();
        else if (line.kind == "sipi")
            m.send_sipi(static_cast<std::uint8_t>(std::stoul(line.name, nullptr, 0)));
        else
            continue;
        end = m.run(20 * sim::kMillisecond);
    }
    std::vector<NotedExit> exits;
    std::size_t rule = 0;
    for (std::uint64_t i = 0; i < m.peek(EXITS); ++i) {
        NotedExit exit = note(m, EXITS_FIRST + (i << EXIT_SHIFT));
        exit.fields["at"] = m.peek(EXITS_FIRST + (i << EXIT_SHIFT) + EXIT_PLACE);
        for (unsigned r = 0; r < kRegisterNames.size(); ++r)
            exit.fields[kRegisterNames[r]] =
                m.peek(EXITS_FIRST + (i << EXIT_SHIFT) + EXIT_REGISTERS + 8 * r);
        if (exit.fields.contains("rule"))
            exit.fields["rule"] = rule < rules.rules.size() ? rules.rules[rule++] : 0;
        exits.push_back(exit);
    }
    std::string text = exit_differences(m.program, header, exits) + log_differences(m, header);
    if (end != (shutdown ? End::shutdown : End::halted)) text += "another end\n" + m.story();
    CHECK_MESSAGE(text.empty(), name << "\n" << text);
}

/// Names behind `exit:` in the headers of a folder's programs.
inline std::set<std::string> exits_of(const std::string& folder) {
    std::set<std::string> names;
    for (const std::string& name : programs_in(folder))
        for (const Expectation& expected : read_header(name))
            if (expected.kind == "exit") names.insert(expected.name);
    return names;
}

/// Rules that entries are checked by, by what they are about: numbers from `first` to `last`.
struct RuleClass {
    const char* name;
    std::uint64_t first, last;
};

/// Each class has a rule that a program of the folder breaks, and no program names a rule outside.
inline void check_rule_classes(const std::string& folder, const std::vector<RuleClass>& classes) {
    std::set<std::uint64_t> broken;
    for (const std::string& name : programs_in(folder))
        for (const Expectation& expected : read_header(name))
            for (const auto& [field, value] : expected.values)
                if (field == "rule") broken.insert(std::stoull(value));
    for (const RuleClass& rules : classes) {
        CAPTURE(rules.name);
        const auto first = broken.lower_bound(rules.first);
        CHECK((first != broken.end() && *first <= rules.last));
    }
    for (const std::uint64_t rule : broken) {
        CAPTURE(rule);
        CHECK(std::any_of(classes.begin(), classes.end(), [rule](const RuleClass& rules) {
            return rules.first <= rule && rule <= rules.last;
        }));
    }
}

/// A name that no program can have, and why.
struct Unreachable {
    const char* name;
    const char* why;
};

/// Every name of the table is that of a program's exit, or stands in `unreachable`, not both.
inline void check_coverage(const std::string& folder, const std::vector<std::string>& table,
                           const std::vector<Unreachable>& unreachable) {
    const std::set<std::string> covered = exits_of(folder);
    const std::set<std::string> known(table.begin(), table.end());
    for (const Unreachable& exception : unreachable) {
        CAPTURE(exception.name);
        CHECK(known.contains(exception.name));
        CHECK_FALSE(covered.contains(exception.name));
    }
    for (const std::string& name : table) {
        CAPTURE(name);
        const bool excused = std::any_of(unreachable.begin(), unreachable.end(),
                                         [&name](const Unreachable& u) { return name == u.name; });
        CHECK_MESSAGE((covered.contains(name) || excused),
                      "no program in " << folder << "/ has it");
    }
    for (const std::string& name : covered) {
        CAPTURE(name);
        CHECK(known.contains(name));
    }
}

}  // namespace hvsim::cpu::programs
