#include "analysis/compare/trace_difference.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "analysis/compare/comparison.h"
#include "analysis/compare/golden.h"
#include "sim/error.h"
#include "sim/trace_writer.h"

using namespace hvsim;
using namespace hvsim::analysis;
using sim::EventKind;

namespace {

std::filesystem::path scratch(const std::string& name) {
    return std::filesystem::path(HVSIM_BINARY_DIR) / name;
}

/// Something that does not compress.
std::uint64_t rip_of(std::uint64_t i) {
    return i * 0x9e3779b97f4a7c15;
}

/// A trace of `count` events of which the one at `odd` (from 1) is another one; 0: none is.
std::filesystem::path trace(const std::string& name, std::uint64_t count, std::uint64_t odd,
                            bool walks = false, const std::string& kernel = "a") {
    sim::TraceInfo info;
    info.scenario = "test.toml";
    info.program_version = "0.1.0";
    info.inputs.files = {{"vm[0].kernel", "kernel", std::string(64, kernel[0])}};
    info.names.add(EventKind::kVmExit, 0, 10, "CPUID");
    const std::filesystem::path file = scratch(name);
    sim::TraceWriter writer(file, info);
    for (std::uint64_t i = 1; i <= count; ++i) {
        if (walks) writer.on_event({i * 1000, EventKind::kTlbFill, {}, {i, 0, 0, 0}});
        if (i % 10 == 0) {
            const std::string text = "line\n";
            writer.on_event({i * 1000,
                             EventKind::kConsole,
                             {0, 2, 0},
                             {static_cast<std::uint8_t>(text[i / 10 % 5]), 0, 0, 0}});
            continue;
        }
        writer.on_event(
            {i * 1000, EventKind::kVmExit, {0, 2, 0}, {10, i == odd ? 99u : 0u, rip_of(i), 0}});
    }
    writer.finish();
    return file;
}

/// The same file without its end.
std::filesystem::path cut(const std::filesystem::path& file, std::uintmax_t left_out) {
    std::filesystem::path shorter = file;
    shorter += ".cut";
    std::filesystem::copy_file(file, shorter, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(shorter, std::filesystem::file_size(file) - left_out);
    return shorter;
}

}  // namespace

TEST_CASE("equal traces, whatever walk events one of them has") {
    const auto a = trace("diff_a", 5000, 0), b = trace("diff_b", 5000, 0, true);
    const Comparison comparison = compare_files(a, b, false);
    CHECK(comparison.result == ComparisonResult::same);
    CHECK(comparison.traces->common == 5000);
    CHECK(comparison_text(comparison, false).ends_with("The runs are the same: 5,000 events.\n"));
}

TEST_CASE("the first event that differs, with what was before it") {
    const auto a = trace("diff_a", 200'000, 0), b = trace("diff_b", 200'000, 150'003);
    const Comparison comparison = compare_files(a, b, false);
    CHECK(comparison.result == ComparisonResult::different);
    const TraceDifference& traces = *comparison.traces;
    CHECK(traces.parted);
    CHECK(traces.common == 150'002);
    CHECK(traces.before.size() == kEventsBefore);
    CHECK(traces.before.back().find(fmt::format("rip={:#x}", rip_of(150'002))) !=
          std::string::npos);
    REQUIRE(traces.a.event.has_value());
    CHECK(traces.a.event->arguments[1] == 0);
    CHECK(traces.b.event->arguments[1] == 99);
    CHECK(traces.a.events.size() == kEventsAfter + 1);
    CHECK(traces.time() == 150'003'000);
    CHECK(traces.consoles.at("partition 2").size() == 8);
    const std::string text = comparison_text(comparison, false);
    CHECK(text.find("part at event 150,003, at 0.000150003000 s of virtual time (millisecond 0)") !=
          std::string::npos);
    CHECK(text.find("reason=CPUID qualification=0x63") != std::string::npos);
    CHECK(text.find("The console of partition 2 so far ends with:\n  | line\n") !=
          std::string::npos);
}

TEST_CASE("one trace goes on where the other is over") {
    const auto a = trace("diff_a", 100, 0), b = trace("diff_b", 103, 0);
    const Comparison comparison = compare_files(a, b, false);
    CHECK(comparison.result == ComparisonResult::different);
    CHECK_FALSE(comparison.traces->a.event.has_value());
    CHECK(comparison.traces->b.events.size() == 3);
    CHECK(comparison.difference.numbers.front().name == "vm_exits.CPUID.count");
    CHECK(comparison_text(comparison, false).find("nothing: the run is over") != std::string::npos);
    CHECK(compare_files(b, a, false).traces->common == 100);
}

TEST_CASE("traces that are cut off tell what they can") {
    const auto whole = trace("diff_a", 100'000, 0), odd = trace("diff_b", 100'000, 501);
    const Comparison same = compare_files(cut(whole, 1000), whole, false);
    CHECK(same.result == ComparisonResult::not_comparable);
    CHECK(same.reasons.front().find("as far as it goes, the runs are the same") !=
          std::string::npos);
    const Comparison different = compare_files(cut(odd, 1000), whole, false);
    CHECK(different.result == ComparisonResult::different);
    CHECK(different.traces->common == 500);
    CHECK_THROWS_AS(read_record(cut(whole, 1000)), sim::ConfigError);
    CHECK_THROWS_AS(compare_files(scratch("no such trace"), whole, false), sim::ConfigError);
}

TEST_CASE("traces of other inputs are compared when that is wanted") {
    const auto a = trace("diff_a", 100, 0), b = trace("diff_b", 100, 51, false, "b");
    const Comparison refused = compare_files(a, b, false);
    CHECK(refused.result == ComparisonResult::not_comparable);
    CHECK(refused.reasons.front().starts_with("vm[0].kernel: "));
    CHECK_FALSE(refused.traces.has_value());
    const Comparison wanted = compare_files(a, b, true);
    CHECK(wanted.result == ComparisonResult::different);
    CHECK(wanted.traces->common == 50);
}

TEST_CASE("a trace against a golden") {
    const auto a = trace("diff_a", 3000, 0), b = trace("diff_b", 3000, 1701);
    const auto golden = scratch("diff.golden");
    RunRecord record = read_record(a);
    record.digest = std::string(32, '0');
    std::ofstream(golden) << golden_text(record);
    CHECK(compare_files(golden, a, false).result == ComparisonResult::same);
    const Comparison comparison = compare_files(golden, b, false);
    CHECK(comparison.result == ComparisonResult::different);
    CHECK(comparison.difference.interval == 0u);
    CHECK(comparison_json(comparison).find("\"millisecond\": 0") != std::string::npos);
}
