#include "analysis/page/page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "analysis/page/assets.h"
#include "analysis/page/phases.h"
#include "analysis/page/run_profile.h"
#include "analysis/timeline/timeline.h"
#include "analysis/timeline/trace_source.h"
#include "sim/error.h"

namespace hvsim::analysis {
namespace {

using Json = nlohmann::ordered_json;
using sim::EventKind;

/// The first partition is the root's (TLFS 2.4); without one, the processors are the host's.
constexpr std::uint16_t kRootPartition = 1;

std::string vp_name(std::uint16_t partition, std::uint16_t vp) {
    if (partition == sim::kNoUnit) return "processor";
    if (partition == kRootPartition) return fmt::format("root partition, VP {}", vp);
    return fmt::format("partition {}, VP {}", partition, vp);
}

Json percentiles_json(const Histogram& histogram) {
    const Percentiles p = histogram.percentiles();
    return {{"count", p.count}, {"least", p.least},       {"p50", p.p50},  {"p90", p.p90},
            {"p99", p.p99},     {"greatest", p.greatest}, {"mean", p.mean}};
}

Json buckets_json(const Histogram& histogram) {
    Json buckets = Json::array();
    for (const Histogram::Bucket& bucket : histogram.drawn())
        buckets.push_back(Json::array({bucket.upper, bucket.count}));
    return buckets;
}

/// One series of the bins, each value as thousandths of the bin's width.
Json thousandths(const RunProfile& profile, std::size_t series) {
    const TimeBins& bins = profile.bins();
    Json values = Json::array();
    for (std::size_t i = 0; i < bins.count(profile.end()); ++i) {
        const sim::Time begin = i * bins.width();
        const sim::Duration width = std::min(bins.width(), profile.end() - begin);
        values.push_back(static_cast<std::uint64_t>(sim::Uint128{bins.values(series)[i]} * 1000 /
                                                    std::max<sim::Duration>(width, 1)));
    }
    return values;
}

Json counts(const RunProfile& profile, std::size_t series) {
    std::vector<std::uint64_t> values = profile.bins().values(series);
    values.resize(profile.bins().count(profile.end()));
    return values;
}

Json processors_json(const RunProfile& profile) {
    Json processors = Json::array();
    for (const auto& [lp, series] : profile.processors()) {
        const auto mode = [&, &modes = series.modes](ProcessorMode which) {
            return thousandths(profile, modes[static_cast<std::size_t>(which)]);
        };
        processors.push_back({{"lp", lp},
                              {"guest", mode(ProcessorMode::guest)},
                              {"hypervisor", mode(ProcessorMode::hypervisor)},
                              {"switching", mode(ProcessorMode::switching)},
                              {"idle", mode(ProcessorMode::idle)}});
    }
    return processors;
}

Json vps_json(const RunProfile& profile, const TraceSource& source) {
    Json vps = Json::array();
    for (const auto& [unit, time] : profile.vps()) {
        Json reasons = Json::array();
        for (const auto& [reason, duration] : time.by_reason)
            reasons.push_back(
                Json::array({source.name_of(EventKind::kVmExit, 0, reason), duration}));
        vps.push_back({{"name", vp_name(unit.first, unit.second)},
                       {"guest", time.guest},
                       {"waited", time.waited},
                       {"reasons", std::move(reasons)}});
    }
    return vps;
}

Json rates_json(const RunProfile& profile) {
    struct Row {
        const char* name;
        const char* unit;
        RunProfile::Rate rate;
        double scale;  ///< of a picosecond-rate to the unit
    };
    static constexpr Row kRows[] = {
        {"VM exits", "exits per second of virtual time", RunProfile::kExits, 1e12},
        {"interrupts accepted", "interrupts per second of virtual time", RunProfile::kInterrupts,
         1e12},
        {"hypercalls", "hypercalls per second of virtual time", RunProfile::kHypercalls, 1e12},
        {"exceptions", "exceptions per second of virtual time", RunProfile::kExceptions, 1e12},
        {"disk bandwidth", "MB per second of virtual time", RunProfile::kDiskBytes, 1e6},
    };
    Json rates = Json::array();
    const auto width = static_cast<double>(profile.bins().width());
    for (const Row& row : kRows)
        rates.push_back({{"name", row.name},
                         {"unit", row.unit},
                         {"scale", row.scale / width},
                         {"values", counts(profile, profile.rate_series(row.rate))}});
    rates.push_back({{"name", "disk queue depth"},
                     {"unit", "requests under way (mean)"},
                     {"scale", 0.001},
                     {"values", thousandths(profile, profile.queue_series())}});
    return rates;
}

Json operations_json(const RunProfile& profile, const TraceSource& source) {
    Json operations = Json::array();
    for (const auto& [operation, times] : profile.operations()) {
        Json stages = Json::array();
        for (const Histogram& stage : times.stages) stages.push_back(percentiles_json(stage));
        operations.push_back({{"name", source.name_of(EventKind::kScsiRequest, 1, operation)},
                              {"total", percentiles_json(times.total)},
                              {"buckets", buckets_json(times.total)},
                              {"stages", std::move(stages)}});
    }
    return operations;
}

Json slowest_json(const RunProfile& profile, const TraceSource& source) {
    Json slowest = Json::array();
    for (const ChannelRequest& request : profile.slowest()) {
        Json stages = Json::array();
        for (const sim::Duration stage : stages_of(request))
            stages.push_back(stage == sim::kNever ? Json() : Json(stage));
        slowest.push_back(
            {{"operation", source.name_of(EventKind::kScsiRequest, 1, request.operation)},
             {"transaction", fmt::format("{:#x}", request.transaction)},
             {"begin", request.begin()},
             {"lba", request.lba},
             {"bytes", request.bytes},
             {"total", std::max(request.end(), request.begin()) - request.begin()},
             {"stages", std::move(stages)}});
    }
    return slowest;
}

Json latencies_json(const RunProfile& profile) {
    static constexpr const char* kNames[RunProfile::kLatencies] = {
        "device to host", "SynIC to partition", "synthetic timer to partition"};
    Json latencies = Json::array();
    for (std::size_t i = 0; i < RunProfile::kLatencies; ++i) {
        const Histogram& histogram = profile.latency(static_cast<RunProfile::Latency>(i));
        latencies.push_back({{"name", kNames[i]},
                             {"total", percentiles_json(histogram)},
                             {"buckets", buckets_json(histogram)}});
    }
    return latencies;
}

Json console_json(const RunProfile& profile, Json& page) {
    Json phases = Json::array();
    for (const Phase& phase : find_phases(profile.lines(), profile.end()))
        phases.push_back({{"name", phase.name}, {"begin", phase.begin}, {"end", phase.end}});
    page["phases"] = std::move(phases);
    Json lines = Json::array();
    for (const ConsoleLine& line : profile.lines()) {
        const bool bare = line.subject.partition == sim::kNoUnit;
        lines.push_back(Json::array(
            {line.begin, bare ? "host" : fmt::format("partition {}", line.subject.partition),
             line.text}));
    }
    return lines;
}

/// Statistics by the beginnings of their names, and pairs of hits and misses among all of them.
void add_translation(Json& page, const Json& statistics) {
    static constexpr std::string_view kHits = "_hits", kMisses = "_misses";
    Json rates = Json::array(), counters = Json::array();
    const auto value_of = [&](const std::string& name) -> std::uint64_t {
        for (const Json& one : statistics)
            if (one.value("name", "") == name) return one.value("value", std::uint64_t{0});
        return 0;
    };
    for (const Json& one : statistics) {
        const std::string name = one.value("name", "");
        const bool wanted = name.starts_with("iommu.") || name.find("tlb") != std::string::npos ||
                            name.find("walk") != std::string::npos;
        if (wanted && one.value("value", std::uint64_t{0}) != 0) counters.push_back(one);
        if (!name.ends_with(kHits)) continue;
        const std::string cache = name.substr(0, name.size() - kHits.size());
        rates.push_back({{"name", cache},
                         {"hits", one.value("value", std::uint64_t{0})},
                         {"misses", value_of(cache + std::string(kMisses))}});
    }
    page["hit_rates"] = std::move(rates);
    page["translation"] = std::move(counters);
}

/// The tables of the report with their titles and units, as arrays.
Json tables_json(const Json& result) {
    Json tables = Json::array();
    const Json& descriptions = result.at("table_columns");
    for (const auto& [key, description] : descriptions.items()) {
        Json columns = Json::array(), rows = Json::array();
        for (const Json& column : description.at("columns"))
            columns.push_back({{"title", column.at("title")}, {"unit", column.at("unit")}});
        for (const Json& row : result.at("tables").at(key)) {
            Json values = Json::array({row.at("name")});
            for (const Json& column : description.at("columns"))
                values.push_back(row.at(column.at("key").get<std::string>()));
            rows.push_back(std::move(values));
        }
        tables.push_back({{"title", description.at("title")},
                          {"name_title", description.at("name_title")},
                          {"columns", std::move(columns)},
                          {"rows", std::move(rows)}});
    }
    return tables;
}

/// JSON that may stand in a script element: no "</script" or "<!--" can be in it.
std::string for_script(const Json& json) {
    std::string text;
    for (const char c : json.dump(-1, ' ', false, Json::error_handler_t::replace))
        if (c == '<')
            text += "\\u003c";
        else
            text += c;
    return text;
}

/// Replaces each "@NAME@" of the page by its part.
std::string fill(std::string_view page,
                 std::initializer_list<std::pair<std::string_view, std::string_view>> parts) {
    std::string filled;
    while (!page.empty()) {
        const std::size_t at = page.find('@');
        filled += page.substr(0, at);
        if (at == std::string_view::npos) break;
        page.remove_prefix(at);
        const auto part = std::find_if(parts.begin(), parts.end(), [&](const auto& candidate) {
            return page.starts_with(candidate.first);
        });
        filled += part != parts.end() ? part->second : page.substr(0, 1);
        page.remove_prefix(part != parts.end() ? part->first.size() : 1);
    }
    return filled;
}

/// The trace's report; null when it has none or is not this program's.
Json result_of(const TraceSource& source) {
    Json result = Json::parse(source.result(), nullptr, false);
    return result.is_object() && result.value("format", "") == "hvsim-run" ? result : Json();
}

Json page_data(const RunProfile& profile, const TraceSource& source, const std::string& warning) {
    Json page;
    page["scenario"] = source.info().scenario;
    page["program_version"] = source.info().program_version;
    page["events"] = source.events();
    page["warning"] = warning;
    page["end_ps"] = profile.end();
    page["bin_ps"] = profile.bins().width();
    page["lps"] = processors_json(profile);
    page["vps"] = vps_json(profile, source);
    page["rates"] = rates_json(profile);
    page["stages"] = {"until noticed", "in the ring", "provider", "disk", "until the interrupt"};
    page["operations"] = operations_json(profile, source);
    page["slowest"] = slowest_json(profile, source);
    page["latencies"] = latencies_json(profile);
    page["console"] = console_json(profile, page);
    page["console_left_out"] = profile.lines_left_out();
    Json result = result_of(source);
    const bool ended = !result.is_null();
    add_translation(page, ended ? result.at("statistics") : Json::array());
    page["tables"] = ended ? tables_json(result) : Json::array();
    if (ended) result.erase("tables");
    page["result"] = std::move(result);
    return page;
}

}  // namespace

Page make_page(const std::filesystem::path& trace) {
    TraceSource source(trace);
    RunProfile profile;
    Timeline timeline(profile);
    while (const auto event = source.next()) timeline.on_event(*event);
    timeline.finish();
    Page page;
    page.warning = source.end_text();
    std::string data;
    try {
        data = for_script(page_data(profile, source, page.warning));
    } catch (const nlohmann::json::exception& error) {
        throw sim::ConfigError(
            fmt::format("{}: the report in it is not as expected", trace.string()), error.what());
    }
    using assets::text;
    page.html =
        fill(text(assets::hvsim_page_html, assets::hvsim_page_html_end),
             {{"@STYLE@", text(assets::hvsim_page_style, assets::hvsim_page_style_end)},
              {"@DATA@", data},
              {"@CHARTS@", text(assets::hvsim_page_charts, assets::hvsim_page_charts_end)},
              {"@SCRIPT@", text(assets::hvsim_page_script, assets::hvsim_page_script_end)}});
    return page;
}

}  // namespace hvsim::analysis
