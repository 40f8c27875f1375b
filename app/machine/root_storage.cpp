#include "app/machine/root_storage.h"

#include "sim/error.h"

namespace hvsim::app {
namespace {

namespace stack = hv::stack;
namespace storvsp = vmbus::storvsp;

stack::NvmeDriverConfig driver_config(stack::RootPartition& root, std::uint64_t registers,
                                      const stack::InterruptMessage& interrupt) {
    stack::NvmeDriverConfig config;
    config.registers = registers;
    config.interrupt = interrupt;
    config.memory_size = stack::NvmeDriver::memory_needed(config);
    config.memory = root.memory().allocate(config.memory_size);
    config.command_cost = root.timing().root_disk_command;
    config.completion_cost = root.timing().root_disk_completion;
    config.page_copy_cost = root.timing().root_page;
    return config;
}

storvsp::DiskOutcome outcome_of(stack::DiskStatus status) {
    switch (status) {
        case stack::DiskStatus::ok:
            return storvsp::DiskOutcome::ok;
        case stack::DiskStatus::dma_fault:
            return storvsp::DiskOutcome::dma_fault;
        case stack::DiskStatus::medium_error:
        case stack::DiskStatus::invalid_request:
            return storvsp::DiskOutcome::medium_error;
        case stack::DiskStatus::aborted:
            return storvsp::DiskOutcome::aborted;
        case stack::DiskStatus::not_ready:
            return storvsp::DiskOutcome::not_ready;
    }
    return storvsp::DiskOutcome::medium_error;
}

}  // namespace

RootStorage::RootStorage(stack::RootPartition& root, std::uint64_t registers,
                         const stack::InterruptMessage& interrupt)
    : root_(root),
      access_(root.vp(0).winhv().core()),
      driver_(driver_config(root, registers, interrupt), access_, *this) {
    root.set_device_handler(kRootDiskVector, [this](stack::RootVp&) { driver_.on_interrupt(); });
    root.set_device_handler(stack::kRootTimerVector, [this](stack::RootVp&) { watch(); });
    root.add_client(*this);
}

bool RootStorage::on_work(stack::RootVp&) {
    if (driver_.ready()) return false;
    if (started_)
        driver_.continue_start();
    else
        driver_.start();
    started_ = true;
    return true;
}

void RootStorage::submit(stack::DiskRequest request, std::uint64_t token,
                         storvsp::DiskClient& client) {
    const std::uint64_t own = next_token_++;
    pending_[own] = {token, &client};
    driver_.submit(std::move(request), own);
    start_watch();
}

void RootStorage::watch() {
    watching_ = false;
    driver_.watch();
    start_watch();
}

void RootStorage::start_watch() {
    if (watching_ || driver_.outstanding() == 0) return;
    watching_ = true;
    root_.vp(0).set_timer(kDiskWatchInterval);
}

void RootStorage::disk_completed(sim::Time now, std::uint64_t token, stack::DiskStatus status) {
    const auto found = pending_.find(token);
    SIM_ASSERT(found != pending_.end());
    const Pending pending = found->second;
    pending_.erase(found);
    pending.client->disk_complete(now, pending.token, outcome_of(status));
}

void RootStorage::disk_issued(sim::Time now, std::uint64_t token, std::uint32_t command) {
    const Pending& pending = pending_.at(token);
    pending.client->disk_issued(now, pending.token, command);
}

storvsp::DiskGeometry VmDisk::geometry() const {
    const stack::DiskProperties properties = storage_.properties(disk_);
    return {properties.block_size, properties.blocks,
            write_protected_ || properties.write_protected, properties.write_cache,
            properties.discard};
}

void VmDisk::submit(sim::Time now, const storvsp::DiskRequest& request, std::uint64_t token,
                    storvsp::DiskClient& client) {
    stack::DiskRequest translated;
    translated.disk = disk_;
    translated.operation = static_cast<stack::DiskOperation>(request.operation);
    static_assert(static_cast<int>(stack::DiskOperation::discard) ==
                  static_cast<int>(storvsp::DiskOperation::discard));
    translated.force_unit_access = request.force_unit_access;
    for (const storvsp::DiskExtent& extent : request.extents)
        translated.extents.push_back({extent.lba, extent.blocks});
    for (const vmbus::GpaSegment& segment : request.segments) {
        const auto address = translate_(segment.gpa, segment.length);
        if (!address) return client.disk_complete(now, token, storvsp::DiskOutcome::dma_fault);
        auto& segments = translated.segments;
        if (!segments.empty() && segments.back().address + segments.back().length == *address)
            segments.back().length += segment.length;
        else
            segments.push_back({*address, segment.length});
    }
    storage_.submit(std::move(translated), token, client);
}

}  // namespace hvsim::app
