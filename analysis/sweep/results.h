#pragma once
// The results of a sweep: one SQLite file that any program can read (docs/sweep.md).
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "analysis/sweep/database.h"

namespace hvsim::analysis {

/// Keys and values of one point, in the order of the sweep's parameters.
using Settings = std::vector<std::pair<std::string, std::string>>;
std::string to_string(const Settings& settings);  ///< "host.vendor=amd vm[0].processors=2"

enum class PointStatus : std::uint8_t {
    met,             ///< the run's expectations were met
    unmet,           ///< they were not
    failed,          ///< there is no result: refused, stopped, crashed
    not_repeatable,  ///< a second run had another digest
};
std::string_view to_string(PointStatus status);

/// What a sweep is of. Points of another identity do not belong into the same results.
struct SweepIdentity {
    std::string scenario;         ///< as it was named
    std::string scenario_digest;  ///< of its text, XXH3-128
    std::string program_version;
    std::vector<std::string> keys;
};

struct PointOutcome {
    Settings settings;
    PointStatus status = PointStatus::failed;
    std::string reason;  ///< in words; empty where all is well
    std::string report;  ///< of the run as JSON (docs/report.md); empty with `failed`
};

struct PointRow {
    std::uint64_t id = 0;
    Settings settings;
    PointStatus status = PointStatus::failed;
    std::string reason, digest;
};

/// Tables: sweep(name, value), points(...), settings(point, key, value), metrics(point, name,
/// value, unit). A metric is a number of a run's report: `time.virtual_ps`,
/// `tables.vm_exits.all.count`, `distributions.disk.Read.p99`, `statistics.iommu.iotlb_hits`.
class SweepResults {
  public:
    /// Opens or creates. Throws ConfigError when the file holds something else, or a sweep of
    /// another identity.
    SweepResults(const std::filesystem::path& file, const SweepIdentity& identity);
    /// Opens what is there.
    explicit SweepResults(const std::filesystem::path& file);

    /// Replaces what was there of the point.
    void store(const PointOutcome& outcome);
    /// By the text of their settings.
    std::map<std::string, PointRow> points();
    std::vector<std::string> keys();
    /// All names that some point has a value of.
    std::vector<std::string> metric_names();
    /// The point's value and its unit; false: it has none.
    bool metric(std::uint64_t point, std::string_view name, std::uint64_t& value,
                std::string& unit);

  private:
    void check(const SweepIdentity& identity);
    void store_metrics(std::uint64_t point, const std::string& report);
    std::string property(std::string_view name);

    Database database_;
};

}  // namespace hvsim::analysis
