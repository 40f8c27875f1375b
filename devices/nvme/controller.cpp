#include "devices/nvme/controller.h"

#include <algorithm>

#include "sim/error.h"

namespace hvsim::devices::nvme {
namespace {

constexpr std::uint64_t kPageMask = sim::kPageSize - 1;

constexpr std::uint32_t low(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
    return static_cast<std::uint32_t>(value >> 32);
}

constexpr std::uint64_t with_low(std::uint64_t word, std::uint32_t value) {
    return sim::Bits<31, 0>::set(word, value);
}
constexpr std::uint64_t with_high(std::uint64_t word, std::uint32_t value) {
    return sim::Bits<63, 32>::set(word, value);
}

}  // namespace

NvmeController::NvmeController(const NvmeConfig& config, std::vector<DiskImage*> namespaces,
                               DmaPort& dma, sim::Recorder* recorder)
    : config_(config),
      namespaces_(std::move(namespaces)),
      dma_(dma),
      recorder_(recorder),
      msix_(config.vectors) {
    check(config_);
    if (namespaces_.empty() || namespaces_.size() > 1024)
        throw sim::ConfigError("a disk controller needs 1 to 1024 disks", "add a disk");
    unit_free_.resize(config_.parallelism);
    interrupt_due_.resize(config_.vectors);
    reset();
}

// Controller reset (7.3.2): everything but AQA, ASQ, ACQ and the MSI-X table.
void NvmeController::reset() {
    submission_.assign(config_.io_queues + 1, {});
    completion_.assign(config_.io_queues + 1, {});
    in_flight_.clear();
    ids_.clear();
    waiting_ = 0;
    next_queue_ = 0;
    std::fill(interrupt_due_.begin(), interrupt_due_.end(), sim::kNever);
    msix_.clear_pending();
    std::fill(unit_free_.begin(), unit_free_.end(), 0);
    path_free_ = 0;
    features_ = Features{};
    features_.queues = static_cast<std::uint16_t>(config_.io_queues);
    features_.vector_configuration.assign(config_.vectors, 0);
    async_requests_.clear();
    async_events_.clear();
    error_events_masked_ = false;
    intms_ = 0;
    enabled_ = false;
    fatal_status_ = false;
    shut_down_ = false;
    ready_at_ = sim::kNever;
}

// 7.6.1. Settings that the controller does not have leave it not ready, with CSTS.CFS set.
void NvmeController::enable(sim::Time now) {
    enabled_ = true;
    const std::uint64_t submission = spec::Aqa::ASQS::get(aqa_);
    const std::uint64_t completion = spec::Aqa::ACQS::get(aqa_);
    if (spec::Cc::MPS::get(cc_) != 0 || spec::Cc::CSS::get(cc_) != 0 ||
        spec::Cc::AMS::get(cc_) != 0 || submission == 0 || completion == 0) {
        fatal();
        return;
    }
    submission_[0] = {asq_, static_cast<std::uint32_t>(submission + 1), 0, 0, 0};
    CompletionQueue admin;
    admin.base = acq_;
    admin.size = static_cast<std::uint32_t>(completion + 1);
    admin.interrupts = true;
    completion_[0] = std::move(admin);
    ready_at_ = now + config_.enable_time;
}

bool NvmeController::ready(sim::Time now) const noexcept {
    return enabled_ && !fatal_status_ && now >= ready_at_;
}

// 9.5: the controller stops and waits to be reset.
void NvmeController::fatal() {
    ++counts_.fatal;
    fatal_status_ = true;
    in_flight_.clear();
    ids_.clear();
}

std::uint64_t NvmeController::register_value(std::uint32_t offset, sim::Time now) const {
    switch (offset) {
        case spec::kCap: {
            constexpr std::uint64_t kNvmCommandSet = 1;
            constexpr std::uint64_t kMinute = 120;  // in units of 500 ms
            std::uint64_t cap = spec::Cap::MQES::set(std::uint64_t{0}, config_.queue_entries - 1);
            cap = spec::Cap::CQR::set(cap, 1);
            cap = spec::Cap::TO::set(cap, kMinute);
            return spec::Cap::CSS::set(cap, kNvmCommandSet);
        }
        case spec::kVs:
            return spec::kVersion14;
        case spec::kIntms:
        case spec::kIntmc:
            return intms_;
        case spec::kCc:
            return cc_;
        case spec::kCsts: {
            std::uint32_t csts = 0;
            csts = spec::Csts::RDY::set(csts, enabled_ && now >= ready_at_);
            csts = spec::Csts::CFS::set(csts, fatal_status_);
            return spec::Csts::SHST::set(csts, shut_down_ ? spec::Csts::kShutdownComplete : 0);
        }
        case spec::kAqa:
            return aqa_;
        case spec::kAsq:
            return asq_;
        case spec::kAcq:
            return acq_;
        default:
            return 0;
    }
}

std::uint32_t NvmeController::read_dword(std::uint64_t offset, sim::Time now) const {
    if (offset >= spec::kMsixPending) return msix_.read_pending(offset - spec::kMsixPending);
    if (offset >= spec::kMsixTable) return msix_.read(offset - spec::kMsixTable);
    const auto* row = devices::spec::find_register(spec::kTable, offset);
    if (row == nullptr) return 0;  // doorbells too: reading them is undefined (3.1.25)
    const std::uint64_t value = register_value(row->offset, now);
    return offset == row->offset ? low(value) : high(value);
}

std::uint64_t NvmeController::read_register(std::uint64_t offset, unsigned size, sim::Time& now) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
        const std::uint64_t at = offset + i;
        if (at >= spec::kBlockSize) break;
        const std::uint64_t byte = read_dword(at & ~std::uint64_t{3}, now) >> (8 * (at % 4)) & 0xff;
        value |= byte << (8 * i);
    }
    return value;
}

void NvmeController::write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                    sim::Time now) {
    const bool proper = (size == 4 || size == 8) && offset % size == 0;
    if (!proper || offset >= spec::kBlockSize || busy_) {
        ++counts_.ignored_accesses;
        return;
    }
    busy_ = true;
    write_dword(offset, low(value), now);
    if (size == 8) write_dword(offset + 4, high(value), now);
    busy_ = false;
}

void NvmeController::write_dword(std::uint64_t offset, std::uint32_t value, sim::Time now) {
    if (offset >= spec::kMsixPending) return;
    if (offset >= spec::kMsixTable) {
        msix_.write(offset - spec::kMsixTable, value, dma_, now);
        return;
    }
    if (offset >= spec::kDoorbells) {
        ring_doorbell((offset - spec::kDoorbells) / spec::kDoorbellSize, value, now);
        return;
    }
    const auto* row = devices::spec::find_register(spec::kTable, offset);
    if (row == nullptr) return;
    const bool upper = offset != row->offset;
    switch (row->offset) {
        case spec::kIntms:
            intms_ |= value;
            break;
        case spec::kIntmc:
            intms_ &= ~value;
            break;
        case spec::kCc:
            write_configuration(value, now);
            break;
        case spec::kAqa:
            aqa_ =
                value & static_cast<std::uint32_t>(spec::Aqa::ASQS::kMask | spec::Aqa::ACQS::kMask);
            break;
        case spec::kAsq:
            asq_ = (upper ? with_high(asq_, value) : with_low(asq_, value)) & ~kPageMask;
            break;
        case spec::kAcq:
            acq_ = (upper ? with_high(acq_, value) : with_low(acq_, value)) & ~kPageMask;
            break;
        default:
            break;
    }
}

void NvmeController::write_configuration(std::uint32_t value, sim::Time now) {
    const bool was_enabled = spec::Cc::EN::test(cc_);
    cc_ = value & spec::Cc::kImplemented;
    const bool enabled = spec::Cc::EN::test(cc_);
    if (was_enabled && !enabled) reset();
    if (!was_enabled && enabled) enable(now);
    // 7.6.2: nothing is held back, so a shutdown is complete once the images are written out.
    if (spec::Cc::SHN::test(cc_) && !shut_down_) {
        for (DiskImage* image : namespaces_) image->flush();
        shut_down_ = true;
    }
    if (!spec::Cc::SHN::test(cc_)) shut_down_ = false;
}

void NvmeController::ring_doorbell(std::uint64_t index, std::uint32_t value, sim::Time now) {
    if (!ready(now)) {
        ++counts_.ignored_accesses;
        return;
    }
    const std::uint64_t queue = index / 2;
    const bool is_completion = index % 2 != 0;
    const bool exists = queue < submission_.size() &&
                        (is_completion ? completion_[queue].exists() : submission_[queue].exists());
    if (!exists) {
        report_doorbell_error(spec::kInvalidDoorbellRegister, now);
        return;
    }
    if (is_completion) {
        if (!move_completion_head(completion_[queue], value)) {
            report_doorbell_error(spec::kInvalidDoorbellValue, now);
            return;
        }
        post(completion_[queue], now);
    } else {
        if (value >= submission_[queue].size) {
            report_doorbell_error(spec::kInvalidDoorbellValue, now);
            return;
        }
        submission_[queue].tail = value;
    }
    fetch_commands(now);
    send_interrupts();
}

/// The head may move over entries that were posted, no further.
bool NvmeController::move_completion_head(CompletionQueue& queue, std::uint32_t value) {
    if (value >= queue.size) return false;
    const std::uint32_t posted = (queue.tail + queue.size - queue.head) % queue.size;
    const std::uint32_t moved = (value + queue.size - queue.head) % queue.size;
    if (moved > posted) return false;
    queue.head = value;
    return true;
}

void NvmeController::report_doorbell_error(std::uint8_t information, sim::Time now) {
    ++counts_.invalid_doorbells;
    if (error_events_masked_) return;
    error_events_masked_ = true;
    async_events_.push_back(spec::kAsyncErrorType | std::uint32_t{information} << 8 |
                            std::uint32_t{spec::kErrorLog} << 16);
    deliver_async_events(now);
    post_all(now);
    send_interrupts();
}

sim::Time NvmeController::next_deadline() const noexcept {
    const sim::Time command = in_flight_.empty() ? sim::kNever : in_flight_.begin()->first.first;
    return std::min(command, next_entry());
}

void NvmeController::advance_to(sim::Time now) {
    busy_ = true;
    for (sim::Time due = next_deadline(); due <= now && due != sim::kNever; due = next_deadline()) {
        if (!in_flight_.empty() && in_flight_.begin()->first.first == due)
            execute(in_flight_.extract(in_flight_.begin()).mapped(), due);
        else
            post_all(due);
        fetch_commands(due);
        if (next_deadline() != due) send_interrupts();
    }
    busy_ = false;
}

void NvmeController::collect(sim::StatisticsSink& sink) const {
    const auto count = [&sink](std::string_view name, std::uint64_t value, std::string_view what) {
        sink.add(name, value, "count", what);
    };
    count("nvme.reads", counts_.reads, "Read commands completed");
    count("nvme.writes", counts_.writes, "Write commands completed");
    count("nvme.flushes", counts_.flushes, "Flush commands completed");
    count("nvme.other", counts_.other, "other I/O commands completed");
    count("nvme.admin", counts_.admin, "admin commands completed");
    count("nvme.errors", counts_.errors, "commands completed with an error status");
    sink.add("nvme.bytes_read", counts_.bytes_read, "bytes", "data read from disks");
    sink.add("nvme.bytes_written", counts_.bytes_written, "bytes", "data written to disks");
    sink.add("nvme.bytes_deallocated", counts_.bytes_deallocated, "bytes",
             "data zeroed or deallocated");
    count("nvme.interrupts", msix_.sent(), "messages sent");
    count("nvme.interrupts_refused", msix_.refused(), "messages that the IOMMU or bus refused");
    count("nvme.invalid_doorbells", counts_.invalid_doorbells, "doorbell writes refused");
    count("nvme.ignored_accesses", counts_.ignored_accesses, "register writes ignored");
    count("nvme.fatal", counts_.fatal, "times that the controller stopped with CSTS.CFS");
    const auto time = [&sink](std::string_view name, sim::Duration value, std::string_view what) {
        sink.add(name, value, "ps", what);
    };
    time("nvme.latency.mean", latencies_.mean(), "doorbell to completion entry, I/O commands");
    time("nvme.latency.p50", latencies_.percentile(500), "half of them are not slower");
    time("nvme.latency.p90", latencies_.percentile(900), "9 of 10 are not slower");
    time("nvme.latency.p99", latencies_.percentile(990), "99 of 100 are not slower");
    time("nvme.latency.p999", latencies_.percentile(999), "999 of 1000 are not slower");
    time("nvme.latency.max", latencies_.greatest(), "the slowest");
}

}  // namespace hvsim::devices::nvme
