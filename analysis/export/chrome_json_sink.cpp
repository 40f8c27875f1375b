#include "analysis/export/chrome_json_sink.h"

#include <iterator>
#include <nlohmann/json.hpp>

namespace hvsim::analysis {
namespace {

/// As a JSON string; bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string_view text) {
    using Json = nlohmann::json;
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Numbers that any reader takes exactly (RFC 8259, section 6); greater ones are strings.
constexpr std::uint64_t kGreatestNumber = (std::uint64_t{1} << 53) - 1;

}  // namespace

ChromeJsonSink::ChromeJsonSink(const std::filesystem::path& path, std::string_view scenario)
    : file_(path), quoted_(1), tracks_(1) {
    fmt::format_to(std::back_inserter(text_),
                   "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"program\":\"hvsim\","
                   "\"scenario\":{}}},\"traceEvents\":[\n",
                   quoted(scenario));
}

StringId ChromeJsonSink::string(std::string_view text) {
    const auto known = strings_.find(text);
    if (known != strings_.end()) return known->second;
    const auto id = static_cast<StringId>(quoted_.size());
    strings_.emplace(text, id);
    quoted_.push_back(quoted(text));
    return id;
}

void ChromeJsonSink::put_metadata(std::uint64_t process, std::uint64_t thread, const char* name,
                                  std::string_view value) {
    const bool sorts = std::string_view(name).ends_with("sort_index");
    fmt::format_to(
        std::back_inserter(text_),
        "{}{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"{}\",\"args\":{{\"{}\":{}}}}}",
        first_ ? "" : ",\n", process, thread, name, sorts ? "sort_index" : "name", value);
    first_ = false;
}

TrackId ChromeJsonSink::add_track(const Track& track) {
    const std::uint64_t id = tracks_.size();
    const auto parent = static_cast<std::uint64_t>(track.parent);
    TrackState& state = tracks_.emplace_back();
    state.process = track.parent == TrackId::none ? id : parent;
    state.name = quoted(track.name);
    state.unit = quoted(track.unit);
    const std::string rank = fmt::format("{}", track.rank);
    if (track.parent == TrackId::none) {
        put_metadata(id, 0, "process_name", state.name);
        put_metadata(id, 0, "process_sort_index", rank);
    }
    if (track.kind == TrackKind::slices) {
        put_metadata(state.process, id, "thread_name", state.name);
        put_metadata(state.process, id, "thread_sort_index", rank);
    }
    return static_cast<TrackId>(id);
}

void ChromeJsonSink::begin_event(TrackId track, char phase) {
    const auto id = static_cast<std::uint64_t>(track);
    fmt::format_to(std::back_inserter(text_), "{}{{\"ph\":\"{}\",\"pid\":{},\"tid\":{}",
                   first_ ? "" : ",\n", phase, tracks_[id].process, id);
    first_ = false;
}

void ChromeJsonSink::put_time(const char* key, sim::Time time) {
    fmt::format_to(std::back_inserter(text_), ",\"{}\":{}", key, time / sim::kMicrosecond);
    sim::Time rest = time % sim::kMicrosecond;
    if (rest == 0) return;
    unsigned digits = 6;
    for (; rest % 10 == 0; rest /= 10) --digits;
    fmt::format_to(std::back_inserter(text_), ".{:0{}}", rest, digits);
}

void ChromeJsonSink::put_mark(const Mark& mark) {
    const auto out = std::back_inserter(text_);
    if (mark.label.id != StringId::none)
        fmt::format_to(out, ",\"name\":{}", quoted_[static_cast<std::size_t>(mark.label.id)]);
    else
        fmt::format_to(out, ",\"name\":{}", quoted(mark.label.text));
    const char* separator = ",\"args\":{";
    for (const Detail& detail : mark.details) {
        fmt::format_to(out, "{}{}:", separator, quoted_[static_cast<std::size_t>(detail.name)]);
        separator = ",";
        if (detail.form == Detail::Form::text)
            fmt::format_to(out, "{}", quoted_[static_cast<std::size_t>(detail.value)]);
        else if (detail.form == Detail::Form::hexadecimal)
            fmt::format_to(out, "\"{:#x}\"", detail.value);
        else if (detail.value <= kGreatestNumber)
            fmt::format_to(out, "{}", detail.value);
        else
            fmt::format_to(out, "\"{}\"", detail.value);
    }
    if (!mark.details.empty()) text_.push_back('}');
}

/// An event of its own for each step; viewers bind it to the slice that it falls into.
void ChromeJsonSink::put_flows(TrackId track, sim::Time time, std::span<const Flow> flows) {
    for (const Flow& flow : flows) {
        constexpr char kPhases[] = {'s', 't', 'f'};
        begin_event(track, kPhases[static_cast<std::size_t>(flow.step)]);
        put_time("ts", time);
        fmt::format_to(std::back_inserter(text_),
                       ",\"id\":{},\"cat\":\"request\",\"name\":\"request\"{}}}", flow.id,
                       flow.step == Flow::Step::last ? ",\"bp\":\"e\"" : "");
    }
}

void ChromeJsonSink::slice(TrackId track, sim::Time begin, sim::Time end, const Mark& mark) {
    begin_event(track, 'X');
    put_time("ts", begin);
    put_time("dur", end - begin);
    put_mark(mark);
    text_.push_back('}');
    put_flows(track, begin, mark.flows);
    write_full_piece();
}

void ChromeJsonSink::open(TrackId track, sim::Time begin, const Mark& mark) {
    begin_event(track, 'B');
    put_time("ts", begin);
    put_mark(mark);
    text_.push_back('}');
    put_flows(track, begin, mark.flows);
}

void ChromeJsonSink::close(TrackId track, sim::Time end) {
    begin_event(track, 'E');
    put_time("ts", end);
    text_.push_back('}');
    write_full_piece();
}

void ChromeJsonSink::instant(TrackId track, sim::Time time, const Mark& mark) {
    begin_event(track, 'i');
    put_time("ts", time);
    fmt::format_to(std::back_inserter(text_), ",\"s\":\"t\"");
    put_mark(mark);
    text_.push_back('}');
    put_flows(track, time, mark.flows);
    write_full_piece();
}

void ChromeJsonSink::counter(TrackId track, sim::Time time, std::int64_t value) {
    const TrackState& state = tracks_[static_cast<std::size_t>(track)];
    begin_event(track, 'C');
    put_time("ts", time);
    fmt::format_to(std::back_inserter(text_), ",\"name\":{},\"args\":{{{}:{}}}}}", state.name,
                   state.unit, value);
    write_full_piece();
}

void ChromeJsonSink::counter(TrackId track, sim::Time time, double value) {
    const TrackState& state = tracks_[static_cast<std::size_t>(track)];
    begin_event(track, 'C');
    put_time("ts", time);
    fmt::format_to(std::back_inserter(text_), ",\"name\":{},\"args\":{{{}:{}}}}}", state.name,
                   state.unit, value);
    write_full_piece();
}

void ChromeJsonSink::write_full_piece() {
    if (text_.size() < kPiece) return;
    file_.write({text_.data(), text_.size()});
    text_.clear();
}

void ChromeJsonSink::finish() {
    fmt::format_to(std::back_inserter(text_), "\n]}}\n");
    file_.write({text_.data(), text_.size()});
    text_.clear();
    file_.finish();
}

}  // namespace hvsim::analysis
