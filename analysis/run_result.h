#pragma once
// What a run left behind, as plain data: the composition root and the tally fill it, the reports
// print it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/histogram.h"
#include "sim/recorder.h"
#include "sim/run_input.h"
#include "sim/statistics.h"
#include "sim/time.h"

namespace hvsim::analysis {

struct NamedText {
    std::string name;
    std::string value;
};

struct Statistic {
    std::string name;  ///< dotted path
    std::uint64_t value = 0;
    std::string unit;  ///< "count", "bytes", "ps", ...
    std::string description;
};

/// Takes the statistics of models, in their order.
class StatisticsList : public sim::StatisticsSink {
  public:
    void add(std::string_view name, std::uint64_t value, std::string_view unit,
             std::string_view description) override {
        items.push_back({std::string(name), value, std::string(unit), std::string(description)});
    }
    std::vector<Statistic> items;
};

/// One column of numbers; `unit` decides how the text report writes them.
struct Column {
    std::string key;    ///< name in JSON
    std::string title;  ///< name in the text
    std::string unit;
};

struct Row {
    std::string name;
    std::vector<std::uint64_t> values;  ///< one for each column
};

/// Named rows of numbers: exits by reason, packets by channel.
struct Table {
    std::string key;    ///< name in JSON
    std::string title;  ///< heading in the text
    std::string name_title;
    std::vector<Column> columns;
    std::vector<Row> rows;
};

struct Distribution {
    std::string key;
    std::string title;
    std::string unit;
    Percentiles percentiles;
};

/// A VM entry or an instruction of a virtualization extension that failed: which rule, what was
/// found and where.
struct Failure {
    std::string kind;         ///< of the event: "vm_entry_failed"
    std::string what;         ///< "VM entry failed"
    std::string outcome;      ///< what the program sees: "VM exit 33, invalid guest state"
    std::string rule;         ///< "VMX 302"
    std::string section;      ///< "SDM 3C 27.3.1.1"
    std::string field;        ///< what the rule looks at
    std::string demand;       ///< what it has to hold
    std::uint64_t value = 0;  ///< what it held,
    std::string value_text;   ///< in words; may be empty
    std::string broken;       ///< which bits are wrong, where a rule is about bits; may be empty
    sim::Time time = 0;
    std::string processor;                ///< "processor 0", "partition 2 vp 0"
    std::optional<std::uint64_t> rip;     ///< nothing: modelled software, which has none
    std::string instruction, code_bytes;  ///< disassembled, and in hexadecimal; may be empty
    std::uint64_t count = 1;              ///< of all failures of the run
};

struct RunResult {
    std::string scenario;
    std::string scenario_text;          ///< of the file
    std::vector<std::string> settings;  ///< that replaced values of it: "host.ram=1 GiB"
    std::string program_version;
    std::vector<NamedText> versions;  ///< of libraries
    std::vector<NamedText> machine;   ///< what was simulated

    std::string end;                              ///< "poweroff", "deadline", ...
    std::optional<std::uint32_t> exit_code = {};  ///< that a test device was given
    bool met = false;                             ///< the scenario's expectations
    std::vector<std::string> unmet;               ///< a sentence for each that is not

    sim::Time virtual_time = 0;
    std::uint64_t wall_ns = 0;
    std::uint64_t code_bytes = 0;
    std::uint64_t instructions = 0;
    sim::Duration quantum = 0;
    sim::Duration greatest_overshoot = 0;  ///< of a timer past its deadline

    std::optional<Failure> first_failure;
    std::vector<Table> tables;
    std::vector<Distribution> distributions;
    std::vector<Statistic> statistics;
    std::string digest;
    /// What it was given, and the digests on its way, when it is to be compared with others.
    std::optional<sim::RunInputs> inputs;
    std::vector<sim::IntervalDigest> intervals;
};

}  // namespace hvsim::analysis
