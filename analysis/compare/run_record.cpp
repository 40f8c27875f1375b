#include "analysis/compare/run_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "analysis/compare/golden.h"
#include "analysis/compare/intervals.h"
#include "analysis/compare/report_reader.h"
#include "analysis/compare/text_file.h"
#include "analysis/compare/trace_side.h"
#include "sim/error.h"
#include "sim/trace_format.h"

namespace hvsim::analysis {
namespace {

constexpr std::size_t kHashShown = 12;

std::string short_hash(const sim::RunInput& input) {
    return fmt::format("{} ({}...)", input.file, input.sha256.substr(0, kHashShown));
}

const sim::RunInput* find_role(const sim::RunInputs& inputs, const std::string& role) {
    for (const sim::RunInput& input : inputs.files)
        if (input.role == role) return &input;
    return nullptr;
}

void compare_files(const RunRecord& a, const RunRecord& b, std::vector<std::string>& reasons) {
    for (const sim::RunInput& input : a.inputs->files) {
        const sim::RunInput* const other = find_role(*b.inputs, input.role);
        if (other == nullptr)
            reasons.push_back(fmt::format("{}: only {} has one", input.role, a.file));
        else if (other->sha256 != input.sha256)
            reasons.push_back(fmt::format("{}: {} in {}, {} in {}", input.role, short_hash(input),
                                          a.file, short_hash(*other), b.file));
    }
    for (const sim::RunInput& input : b.inputs->files)
        if (find_role(*a.inputs, input.role) == nullptr)
            reasons.push_back(fmt::format("{}: only {} has one", input.role, b.file));
}

void only_in(const RunRecord& a, const RunRecord& b, std::vector<std::string>& reasons) {
    const std::vector<std::string>& others = b.inputs->settings;
    for (const std::string& setting : a.inputs->settings)
        if (std::find(others.begin(), others.end(), setting) == others.end())
            reasons.push_back(fmt::format("--set {}: only in {}", setting, a.file));
}

}  // namespace

RunRecord record_of(const RunResult& result, std::string file) {
    RunRecord record;
    record.file = std::move(file);
    record.scenario = result.scenario;
    record.program_version = result.program_version;
    record.inputs = result.inputs;
    record.end = result.end;
    record.digest = result.digest;
    record.has_intervals = result.inputs.has_value();
    record.intervals = result.intervals;
    record.numbers.numbers = numbers_of(result);
    return record;
}

bool is_trace(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string begin(sim::kTraceMagic.size(), '\0');
    in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
    return begin == sim::kTraceMagic;
}

RunRecord read_record(const std::filesystem::path& file) {
    if (is_trace(file)) return read_trace_record(file);
    const std::string text = read_text_file(file);
    if (text.starts_with(kGoldenMagic)) return parse_golden(text, file.string());
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin != std::string::npos && text[begin] == '{') return parse_report(text, file.string());
    throw sim::ConfigError(
        fmt::format("{} is neither a trace nor a report nor a golden", file.string()),
        "hvsim run writes them: --trace, --json, --golden with --update-golden");
}

std::vector<std::string> why_not_comparable(const RunRecord& a, const RunRecord& b) {
    std::vector<std::string> reasons;
    if (a.program_version != b.program_version)
        reasons.push_back(fmt::format("{} is of hvsim {}, {} of hvsim {}", a.file,
                                      a.program_version, b.file, b.program_version));
    if (a.inputs && b.inputs) {
        compare_files(a, b, reasons);
        only_in(a, b, reasons);
        only_in(b, a, reasons);
    } else {
        const RunRecord& without = a.inputs ? b : a;
        reasons.push_back(
            fmt::format("{} does not say what the run was given: it is too old", without.file));
    }
    return reasons;
}

RecordDifference difference_of(const RunRecord& a, const RunRecord& b) {
    RecordDifference difference;
    difference.other_end = !a.end.empty() && !b.end.empty() && a.end != b.end;
    difference.other_digest = !a.digest.empty() && !b.digest.empty() && a.digest != b.digest;
    if (a.has_intervals && b.has_intervals)
        difference.interval = first_differing_interval(a.intervals, b.intervals);
    difference.numbers = differing_numbers(a.numbers, b.numbers);
    return difference;
}

}  // namespace hvsim::analysis
