#include "analysis/tally.h"

#include <fmt/format.h>

#include <algorithm>

namespace hvsim::analysis {
namespace {

using sim::EventKind;

std::uint32_t processor_of(const sim::Subject& subject) {
    return static_cast<std::uint32_t>(subject.partition) << 16 | subject.vp;
}

/// Processors' clocks differ by up to a quantum.
std::uint64_t since(sim::Time from, sim::Time to) {
    return to > from ? to - from : 0;
}

std::string unit_name(std::uint64_t partition) {
    return partition == sim::kNoUnit ? "host" : fmt::format("partition {}", partition);
}

/// Most frequent first; equal ones keep their order, which is that of their keys.
void sort_by_first_column(Table& table) {
    std::stable_sort(table.rows.begin(), table.rows.end(), [](const Row& a, const Row& b) {
        return a.values.front() > b.values.front();
    });
}

void append(RunResult& result, Table table) {
    if (table.rows.empty()) return;
    sort_by_first_column(table);
    result.tables.push_back(std::move(table));
}

const Column kCount{"count", "count", "count"};

}  // namespace

void Tally::on_event(const sim::Event& event) {
    const auto& a = event.arguments;
    switch (event.kind) {
        case EventKind::kVmExit:
            on_exit(event);
            break;
        case EventKind::kVmEntry:
            on_entry(event);
            break;
        case EventKind::kVmEntryFailed:
        case EventKind::kInstructionRefused:
        case EventKind::kVmxInstructionFailed:
            if (++failures_ == 1) first_failure_ = {event, code_};
            break;
        case EventKind::kHypercall: {
            CallCount& call = hypercalls_[a[0]];
            ++call.count;
            if (a[2] != 0) ++call.failed;
            call.repetitions += a[3];
            break;
        }
        case EventKind::kInterrupt:
            ++interrupts_[{a[0], a[1]}];
            break;
        case EventKind::kVpRun:
            on_run(event);
            break;
        case EventKind::kInterruptAccepted:
            ++accepted_[{event.subject.partition, a[0], a[1]}];
            break;
        case EventKind::kIpi:
            ++ipis_[{a[0], a[1]}];
            break;
        case EventKind::kException:
            ++exceptions_[{event.subject.partition, a[0]}];
            break;
        case EventKind::kMsrIntercept:
            ++msrs_[a[0]];
            break;
        case EventKind::kIoIntercept:
            ++ports_[a[0]];
            break;
        case EventKind::kVmbusMessage:
            ++messages_[{a[0], a[2] != 0 ? 1 : 0}];
            break;
        case EventKind::kVmbusPacket:
        case EventKind::kVmbusSignal:
            on_channel(event);
            break;
        case EventKind::kScsiRequest:
        case EventKind::kScsiComplete:
        case EventKind::kDiskRequest:
        case EventKind::kDiskComplete:
            on_request(event);
            break;
        case EventKind::kDmaFault:
            ++dma_faults_[{a[0], a[2]}];
            break;
        case EventKind::kInterruptRemapFault:
            ++remap_faults_;
            break;
        case EventKind::kIommuInvalidate:
            ++invalidations_;
            break;
        case EventKind::kIotlbMiss:
            ++iotlb_misses_;
            break;
        case EventKind::kTlbFill:
            ++tlb_fills_;
            break;
        default:
            break;
    }
    if (next_ != nullptr) next_->on_event(event);
}

void Tally::on_exit(const sim::Event& event) {
    ++exits_[event.arguments[0]].count;
    outside_[processor_of(event.subject)] = {event.time, event.time, event.arguments[0], true};
}

void Tally::on_entry(const sim::Event& event) {
    const auto open = outside_.find(processor_of(event.subject));
    if (open == outside_.end()) return;
    const OpenExit& exit = open->second;
    ExitCount& count = exits_[exit.reason];
    if (exit.working) count.cost += since(exit.working_since, event.time);
    count.away += since(exit.time, event.time);
    outside_.erase(open);
}

void Tally::on_run(const sim::Event& event) {
    const auto& a = event.arguments;
    const bool runs = a[0] != 0;
    Runs& total = runs_[{event.subject.partition, event.subject.vp}];
    if (runs) {
        ++total.count;
        total.waited += a[2];
        total.longest_wait = std::max(total.longest_wait, a[2]);
    } else {
        total.ran += a[2];
        ++stops_[{event.subject.partition, a[1]}];
    }
    const auto open = outside_.find(processor_of(event.subject));
    if (open == outside_.end()) return;
    OpenExit& exit = open->second;
    if (runs)
        exit.working_since = event.time;
    else if (exit.working)
        exits_[exit.reason].cost += since(exit.working_since, event.time);
    exit.working = runs;
}

void Tally::on_channel(const sim::Event& event) {
    const auto& a = event.arguments;
    Channel& channel = channels_[{event.subject.partition, a[0]}];
    if (event.kind == EventKind::kVmbusSignal) {
        ++channel.signals[a[1] != 0 ? 1 : 0];
        return;
    }
    const std::size_t direction = a[3] != 0 ? 1 : 0;
    ++channel.packets[direction];
    channel.bytes[direction] += a[2];
}

void Tally::on_request(const sim::Event& event) {
    const auto& a = event.arguments;
    const Key transaction{event.subject.partition, a[0]};
    switch (event.kind) {
        case EventKind::kScsiRequest:
            scsi_[transaction] = {event.time, a[1]};
            break;
        case EventKind::kDiskRequest:
            disk_[a[0]] = {event.time, a[1]};
            break;
        case EventKind::kScsiComplete:
            if (const auto open = scsi_.find(transaction); open != scsi_.end()) {
                const sim::Time start = open->second.time;
                scsi_latency_[open->second.operation].add(event.time > start ? event.time - start
                                                                             : 0);
                scsi_.erase(open);
            }
            break;
        default:
            if (const auto open = disk_.find(a[0]); open != disk_.end()) {
                disk_latency_[open->second.operation].add(a[2]);
                disk_.erase(open);
            }
            break;
    }
}

std::string Tally::name_of(EventKind kind, unsigned argument, std::uint64_t value) const {
    const std::string_view name = names_.find(kind, argument, value);
    return name.empty() ? fmt::format("{:#x}", value) : std::string(name);
}

Table Tally::simple_table(EventKind kind, const Counts& counts, const char* key, const char* title,
                          const char* name_title) const {
    Table table{key, title, name_title, {kCount}, {}};
    for (const auto& [value, count] : counts)
        table.rows.push_back({name_of(kind, 0, value), {count}});
    return table;
}

void Tally::add_exits(RunResult& result) const {
    Table table{"vm_exits",
                "VM exits",
                "reason",
                {kCount,
                 {"cost_ps", "in hypervisor", "ps"},
                 {"mean_cost_ps", "mean", "ps"},
                 {"away_ps", "until re-entry", "ps"}},
                {}};
    Row total{"all", {0, 0, 0, 0}};
    for (const auto& [reason, exit] : exits_) {
        table.rows.push_back({name_of(EventKind::kVmExit, 0, reason),
                              {exit.count, exit.cost, exit.cost / exit.count, exit.away}});
        total.values[0] += exit.count;
        total.values[1] += exit.cost;
        total.values[3] += exit.away;
    }
    if (table.rows.size() > 1) {
        total.values[2] = total.values[1] / total.values[0];
        table.rows.push_back(total);
    }
    append(result, std::move(table));
}

void Tally::add_runs(RunResult& result) const {
    Table table{"vp_runs",
                "Virtual processors",
                "processor",
                {{"count", "runs", "count"},
                 {"ran_ps", "ran", "ps"},
                 {"waited_ps", "waited", "ps"},
                 {"longest_wait_ps", "longest wait", "ps"}},
                {}};
    for (const auto& [key, runs] : runs_)
        table.rows.push_back({fmt::format("{} vp {}", unit_name(key.first), key.second),
                              {runs.count, runs.ran, runs.waited, runs.longest_wait}});
    append(result, std::move(table));
    Table stops{"vp_stops", "Why virtual processors stopped", "reason", {kCount}, {}};
    for (const auto& [key, count] : stops_)
        stops.rows.push_back(
            {fmt::format("{} {}", unit_name(key.first), name_of(EventKind::kVpRun, 1, key.second)),
             {count}});
    append(result, std::move(stops));
}

void Tally::add_hypercalls(RunResult& result) const {
    Table table{"hypercalls",
                "Hypercalls",
                "call",
                {kCount, {"failed", "failed", "count"}, {"repetitions", "repetitions", "count"}},
                {}};
    for (const auto& [code, call] : hypercalls_)
        table.rows.push_back(
            {name_of(EventKind::kHypercall, 0, code), {call.count, call.failed, call.repetitions}});
    append(result, std::move(table));
}

void Tally::add_interrupts(RunResult& result) const {
    Table table{"interrupts", "Interrupts sent by devices", "vector and source", {kCount}, {}};
    for (const auto& [key, count] : interrupts_)
        table.rows.push_back(
            {fmt::format("{:#04x} {}", key.first, name_of(EventKind::kInterrupt, 1, key.second)),
             {count}});
    append(result, std::move(table));
    Table ipis{"ipis", "Interrupts between processors", "vector and mode", {kCount}, {}};
    for (const auto& [key, count] : ipis_)
        ipis.rows.push_back(
            {fmt::format("{:#04x} {}", key.first, name_of(EventKind::kIpi, 1, key.second)),
             {count}});
    append(result, std::move(ipis));
    Table accepted{
        "interrupts_accepted", "Interrupts accepted", "by, vector and cause", {kCount}, {}};
    for (const auto& [key, count] : accepted_)
        accepted.rows.push_back(
            {fmt::format("{} {:#04x} {}", unit_name(std::get<0>(key)), std::get<1>(key),
                         name_of(EventKind::kInterruptAccepted, 1, std::get<2>(key))),
             {count}});
    append(result, std::move(accepted));
    Table exceptions{"exceptions", "Exceptions", "in and vector", {kCount}, {}};
    for (const auto& [key, count] : exceptions_)
        exceptions.rows.push_back({fmt::format("{} {}", unit_name(key.first),
                                               name_of(EventKind::kException, 0, key.second)),
                                   {count}});
    append(result, std::move(exceptions));
}

void Tally::add_intercepts(RunResult& result) const {
    append(result, simple_table(EventKind::kMsrIntercept, msrs_, "msr_intercepts", "MSR intercepts",
                                "register"));
    append(result, simple_table(EventKind::kIoIntercept, ports_, "io_intercepts", "Port intercepts",
                                "port"));
}

void Tally::add_vmbus(RunResult& result) const {
    Table messages{"vmbus_messages", "VMBus messages", "type", {kCount}, {}};
    for (const auto& [key, count] : messages_)
        messages.rows.push_back(
            {fmt::format("{} {}", name_of(EventKind::kVmbusMessage, 0, key.first),
                         key.second != 0 ? "to guest" : "to host"),
             {count}});
    append(result, std::move(messages));
    Table table{"vmbus_channels",
                "VMBus channels",
                "channel",
                {{"packets_to_host", "packets in", "count"},
                 {"packets_to_guest", "packets out", "count"},
                 {"bytes_to_host", "bytes in", "bytes"},
                 {"bytes_to_guest", "bytes out", "bytes"},
                 {"signals_to_host", "signals in", "count"},
                 {"signals_to_guest", "signals out", "count"}},
                {}};
    for (const auto& [key, channel] : channels_)
        table.rows.push_back({fmt::format("{} channel {}", unit_name(key.first), key.second),
                              {channel.packets[0], channel.packets[1], channel.bytes[0],
                               channel.bytes[1], channel.signals[0], channel.signals[1]}});
    append(result, std::move(table));
}

void Tally::add_disks(RunResult& result) const {
    const auto add = [&](const std::map<std::uint64_t, Histogram>& latencies, EventKind kind,
                         const char* key, const char* title) {
        for (const auto& [operation, histogram] : latencies) {
            const std::string name = name_of(kind, 1, operation);
            result.distributions.push_back({fmt::format("{}.{}", key, name),
                                            fmt::format("{} {}", title, name), "ps",
                                            histogram.percentiles()});
        }
    };
    add(scsi_latency_, EventKind::kScsiRequest, "scsi", "SCSI request");
    add(disk_latency_, EventKind::kDiskRequest, "disk", "Disk command");
}

void Tally::add_dma(RunResult& result) const {
    Table table{"dma_faults", "DMA faults", "source and reason", {kCount}, {}};
    for (const auto& [key, count] : dma_faults_)
        table.rows.push_back({fmt::format("{}: {}", name_of(EventKind::kDmaFault, 0, key.first),
                                          name_of(EventKind::kDmaFault, 2, key.second)),
                              {count}});
    append(result, std::move(table));
    Table events{"translation", "Translation", "event", {kCount}, {}};
    const auto add = [&events](const char* name, std::uint64_t count) {
        if (count != 0) events.rows.push_back({name, {count}});
    };
    add("IOMMU invalidations", invalidations_);
    add("interrupt remapping faults", remap_faults_);
    add("IOTLB misses", iotlb_misses_);
    add("TLB fills", tlb_fills_);
    append(result, std::move(events));
}

void Tally::add_to(RunResult& result) const {
    add_exits(result);
    add_runs(result);
    add_hypercalls(result);
    add_interrupts(result);
    add_intercepts(result);
    add_vmbus(result);
    add_disks(result);
    add_dma(result);
}

}  // namespace hvsim::analysis
