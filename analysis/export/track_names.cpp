#include "analysis/export/track_names.h"

#include <fmt/format.h>

#include "analysis/trace_text.h"

namespace hvsim::analysis {

TrackNames::TrackNames(const TraceSource& source, TrackSink& sink) : source_(source), sink_(sink) {
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
        const sim::EventDescription& row = sim::kEventTable[i];
        Kind& kind = kinds_[i];
        kind.name = sink.string(row.name);
        while (kind.arguments < 4 && !row.arguments[kind.arguments].empty()) {
            Argument& argument = kind.argument[kind.arguments];
            const std::string_view name = row.arguments[kind.arguments++];
            argument.name = sink.string(name);
            argument.decimal = is_decimal_argument(name) || name.ends_with("_ps");
        }
    }
    for (const auto& [argument, values] : source.names().tables())
        kinds_.at(argument.kind).argument.at(argument.index).named = true;
}

Detail TrackNames::argument(sim::EventKind kind, unsigned index, std::uint64_t value) {
    Argument& argument = kinds_[static_cast<std::size_t>(kind)].argument[index];
    const Detail number{
        argument.name, argument.decimal ? Detail::Form::decimal : Detail::Form::hexadecimal, value};
    if (!argument.named) return number;
    auto known = argument.values.find(value);
    if (known == argument.values.end()) {
        if (argument.values.size() == kMostNames) return number;
        const std::string_view name = source_.names().find(kind, index, value);
        const StringId id = name.empty() ? StringId::none : sink_.string(name);
        known = argument.values.emplace(value, id).first;
    }
    if (known->second == StringId::none) return number;
    return {argument.name, Detail::Form::text, static_cast<std::uint64_t>(known->second)};
}

Label TrackNames::exit_reason(std::uint64_t reason) {
    return exit({.subject = {}, .reason = reason});
}

Label TrackNames::exit(const ExitSpan& span) {
    const ExitKey key{span.reason, span.number, span.intercept};
    if (const auto known = exits_.find(key); known != exits_.end()) return {known->second};
    text_ = source_.name_of(sim::EventKind::kVmExit, 0, span.reason);
    if (span.intercept != sim::EventKind::kVmExit)
        text_.append(": ").append(source_.name_of(span.intercept, 0, span.number));
    if (exits_.size() == kMostNames) return {StringId::none, text_};
    return {exits_.emplace(key, sink_.string(text_)).first->second};
}

Detail TrackNames::decimal(const char* name, std::uint64_t value) {
    return {sink_.string(name), Detail::Form::decimal, value};
}

}  // namespace hvsim::analysis
