#include "app/dump_condition.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "app/scenario/nearest.h"
#include "app/scenario/quantity.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

template <typename Number>
bool take_number(std::string_view& text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

[[noreturn]] void refuse(const std::string& text, const std::string& hint) {
    throw sim::ConfigError(
        fmt::format("--dump-vmcs: expected \"failed\", the number of an exit, an exit reason or a "
                    "virtual time, found \"{}\"",
                    text),
        hint);
}

/// "lp0", "p2", "p2vp0".
bool take_whose(std::string_view text, DumpCondition& condition) {
    std::uint16_t number = 0;
    if (text.starts_with("lp")) {
        text.remove_prefix(2);
        if (!take_number(text, number)) return false;
        condition.lp = number;
        return text.empty();
    }
    if (!text.starts_with("p")) return false;
    text.remove_prefix(1);
    if (!take_number(text, number)) return false;
    condition.partition = number;
    if (!text.starts_with("vp")) return text.empty();
    text.remove_prefix(2);
    if (!take_number(text, number)) return false;
    condition.vp = number;
    return text.empty();
}

/// "cpuid" or "cpuid:3".
void take_reason(std::string_view text, const sim::TraceNames& names, DumpCondition& condition) {
    condition.kind = DumpCondition::Kind::exit_reason;
    const std::size_t colon = text.find(':');
    const std::string name(text.substr(0, colon));
    if (colon != text.npos) {
        std::string_view number = text.substr(colon + 1);
        if (!take_number(number, condition.number) || !number.empty() || condition.number == 0)
            refuse(condition.text, fmt::format("behind the colon stands which of the exits with "
                                               "that reason: {}:1 is the first",
                                               name));
    }
    const auto& tables = names.tables();
    const auto table =
        tables.find({static_cast<std::uint8_t>(sim::EventKind::kVmExit), std::uint8_t{0}});
    std::vector<std::string_view> known;
    if (table != tables.end())
        for (const auto& [reason, known_name] : table->second) {
            if (known_name == name) {
                condition.reason = reason;
                return;
            }
            known.push_back(known_name);
        }
    const std::string_view near = nearest(name, known);
    refuse(condition.text, near.empty()
                               ? "exit reasons are named as in \"hvsim trace\": cpuid, VMEXIT_CPUID"
                               : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace

DumpCondition parse_dump_condition(const std::string& text, const sim::TraceNames& names) {
    DumpCondition condition;
    condition.text = text;
    std::string_view when = text;
    if (const std::size_t at = when.rfind('@'); at != when.npos) {
        if (!take_whose(when.substr(at + 1), condition))
            refuse(text, "behind @ stands whose exits count: lp0, p2 or p2vp0");
        when = when.substr(0, at);
    }
    if (when == "failed") return condition;
    if (const auto time = parse_duration(when)) {
        condition.kind = DumpCondition::Kind::time;
        condition.time = *time;
        return condition;
    }
    std::string_view rest = when;
    if (take_number(rest, condition.number) && rest.empty()) {
        if (condition.number == 0) refuse(text, "the first exit is number 1");
        condition.kind = DumpCondition::Kind::exit_number;
        return condition;
    }
    condition.number = 1;
    take_reason(when, names, condition);
    return condition;
}

}  // namespace hvsim::app
