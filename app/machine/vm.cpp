#include "app/machine/vm.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/machine/boot_files.h"
#include "hypervisor-model/partition.h"

namespace hvsim::app {
namespace {

hv::stack::VmDescription describe(const Scenario& scenario, std::size_t index) {
    const VmConfig& config = scenario.vms.at(index);
    const std::string path = fmt::format("vm[{}]", index);
    hv::stack::VmDescription description;
    description.name = config.name;
    description.processors = config.processors;
    description.ram = config.ram;
    description.boot = read_boot_files(scenario, config.boot, path);
    for (const TestDeviceConfig& device : config.test_devices)
        description.test_devices.push_back(device.kind);
    description.where = scenario.where(path + ".ram");
    description.date = scenario.host.date;
    return description;
}

}  // namespace

Vm::Vm(Board& board, hv::HypervisorHost& host, hv::stack::RootPartition& root, RootStorage& storage,
       DiskController& disks, std::size_t index, std::function<void()> on_end)
    : board_(board),
      host_(host),
      index_(index),
      on_end_(std::move(on_end)),
      console_(board.options, index),
      disks_(disks) {
    worker_ = std::make_unique<hv::stack::WorkerProcess>(
        root, *this, describe(board.scenario, index), console_, board.recorder);
    const VmConfig& config = board.scenario.vms.at(index);
    std::vector<VmDiskDescription> descriptions;
    for (std::size_t i = 0; i < config.disks.size(); ++i)
        descriptions.push_back({disks.namespace_of(index, i),
                                static_cast<std::uint8_t>(config.disks[i].lun),
                                config.disks[i].writable == DiskAccess::read_only});
    vmbus::ServerConfig server;
    server.max_version = static_cast<vmbus::spec::Version>(config.vmbus.max_version);
    bus_ = std::make_unique<VmBus>(root, *worker_, storage, board.recorder, server, descriptions);
    board.dispatcher.add(*this);
}

Vm::~Vm() = default;

void Vm::end(MachineEnd how, sim::Time now, std::string detail,
             std::optional<std::uint32_t> exit_code) {
    if (ended()) return;
    outcome_ = {how, now, std::move(detail), exit_code};
    board_.recorder.record(sim::EventKind::kPowerState, now, {}, static_cast<std::uint64_t>(how),
                           index_);
    on_end_();
}

void Vm::add_device_page(hv::PartitionId partition, std::uint64_t gpa,
                         cpu::engine::MmioHandler& handler) {
    host_.add_mmio_window(partition, gpa, handler);
}

void Vm::set_open_bus(hv::PartitionId partition, cpu::engine::MmioHandler& handler) {
    host_.set_open_bus(partition, handler);
}

void Vm::vm_starting(hv::stack::RootVp& vp, hv::PartitionId) {
    bus_->start(vp);
}

void Vm::vm_ended(hv::stack::VmEnd how, sim::Time now, const std::string& detail,
                  std::optional<std::uint32_t> exit_code) {
    switch (how) {
        case hv::stack::VmEnd::running:
            return;
        case hv::stack::VmEnd::poweroff:
            return end(MachineEnd::poweroff, now, detail);
        case hv::stack::VmEnd::reset:
            return end(MachineEnd::reboot, now, detail);
        case hv::stack::VmEnd::triple_fault:
            return end(MachineEnd::triple_fault, now, detail);
        case hv::stack::VmEnd::exit:
            return end(MachineEnd::exit, now, detail, exit_code);
    }
}

void Vm::notify_root(sim::Time now) {
    apic::InterruptMessage message;
    message.vector = hv::stack::kNoticeVector;
    message.cause = apic::InterruptCause::hypervisor;
    host_.hypervisor().root().vp(0)->receive(message, now);
}

/// The scenario's next event for this machine.
const EventConfig* Vm::next_event() const {
    const auto& events = board_.scenario.events;
    for (std::size_t i = next_event_; i < events.size(); ++i) {
        const std::string& name = events[i].vm;
        if (name.empty() ? index_ == 0 : name == board_.scenario.vms[index_].name)
            return &events[i];
    }
    return nullptr;
}

/// Whether there was one.
bool Vm::take_events(sim::Time now) {
    bool taken = false;
    for (const EventConfig* event = next_event(); event != nullptr && event->at <= now;
         event = next_event()) {
        const auto number = static_cast<std::size_t>(event - board_.scenario.events.data());
        next_event_ = number + 1;
        taken = true;
        const auto lun = static_cast<std::uint8_t>(event->lun);
        if (event->action == EventAction::remove_disk) {
            bus_->request_remove(lun);
            continue;
        }
        // Without an image the disk that hung at the LUN from the start comes back.
        std::uint32_t disk = disks_.namespace_of_event(number);
        const auto& configured = board_.scenario.vms[index_].disks;
        for (std::size_t i = 0; disk == 0 && i < configured.size(); ++i)
            if (configured[i].lun == event->lun) disk = disks_.namespace_of(index_, i);
        bus_->request_add({disk, lun, event->writable == DiskAccess::read_only});
    }
    return taken;
}

sim::Time Vm::next_deadline() const noexcept {
    if (ended()) return sim::kNever;
    sim::Time deadline = sim::kNever;
    if (const EventConfig* event = next_event()) deadline = event->at;
    if (board_.options.input != nullptr)
        deadline = std::min(deadline, board_.options.input->next_deadline(index_));
    const sim::Time devices = worker_->next_deadline();
    if (devices > asked_) deadline = std::min(deadline, devices);
    return deadline;
}

void Vm::advance_to(sim::Time now) {
    asked_ = now;
    bool work = take_events(now) || worker_->next_deadline() <= now;
    if (board_.options.input != nullptr)
        while (const auto byte = board_.options.input->next(index_, now)) {
            worker_->type(*byte);
            work = true;
        }
    if (work) notify_root(now);
}

}  // namespace hvsim::app
