#pragma once
// A run's trace in formats of other programs.
#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/trace_reader.h"

namespace hvsim::analysis {

/// What is wanted; an empty path: not this.
struct ExportRequest {
    std::filesystem::path trace = {};
    std::filesystem::path perfetto = {};     ///< a trace for Perfetto
    std::filesystem::path chrome_json = {};  ///< a trace for Chrome's tracing, as JSON
    std::filesystem::path csv = {};          ///< a folder: one file for each table
    std::filesystem::path sqlite = {};       ///< a database
};

struct ExportResult {
    std::uint64_t events = 0;   ///< read
    std::uint64_t unknown = 0;  ///< left out: of kinds that this program does not know
    /// complete, or truncated or damaged: then the outputs have what was before.
    sim::TraceStatus status = sim::TraceStatus::complete;
    std::string end_text;  ///< what to tell of an early end; empty: it is whole
};

/// Reads the trace once, in memory that does not grow with it. ConfigError: it cannot be read at
/// all, or an output cannot be written; then no output is there.
ExportResult export_trace(const ExportRequest& request);

}  // namespace hvsim::analysis
