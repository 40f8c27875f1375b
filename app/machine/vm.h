#pragma once
// One virtual machine as the run sees it: worker process, console, VMBus, and how it ended.
#include <functional>
#include <memory>

#include "app/machine/board.h"
#include "app/machine/disk_controller.h"
#include "app/machine/vm_bus.h"
#include "hypervisor-model/host/hypervisor_host.h"
#include "hypervisor-model/stack/worker_process.h"

namespace hvsim::app {

class Vm final : public hv::stack::WorkerServices, public sim::Clocked {
  public:
    Vm(Board& board, hv::HypervisorHost& host, hv::stack::RootPartition& root, RootStorage& storage,
       DiskController& disks, std::size_t index, std::function<void()> on_end);
    ~Vm() override;

    bool ended() const noexcept { return outcome_.end != MachineEnd::running; }
    const MachineOutcome& outcome() const noexcept { return outcome_; }
    void end(MachineEnd how, sim::Time now, std::string detail,
             std::optional<std::uint32_t> exit_code = std::nullopt);
    hv::stack::WorkerProcess& worker() noexcept { return *worker_; }
    void collect(sim::StatisticsSink& sink) const { bus_->collect(sink); }
    hv::PartitionId partition() const noexcept { return worker_->partition(); }

  private:
    // hv::stack::WorkerServices
    void add_device_page(hv::PartitionId partition, std::uint64_t gpa,
                         cpu::engine::MmioHandler& handler) override;
    void set_open_bus(hv::PartitionId partition, cpu::engine::MmioHandler& handler) override;
    void vm_starting(hv::stack::RootVp& vp, hv::PartitionId partition) override;
    void vm_ended(hv::stack::VmEnd end, sim::Time now, const std::string& detail,
                  std::optional<std::uint32_t> exit_code) override;
    void notify_root(sim::Time now) override;
    bool take_events(sim::Time now);
    const EventConfig* next_event() const;
    // sim::Clocked: the outside world's events, keyboard input and deadlines of the emulated
    // devices
    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;

    Board& board_;
    hv::HypervisorHost& host_;
    std::size_t index_;
    std::function<void()> on_end_;
    ConsoleSink console_;
    std::unique_ptr<hv::stack::WorkerProcess> worker_;
    DiskController& disks_;
    std::unique_ptr<VmBus> bus_;
    MachineOutcome outcome_;
    std::size_t next_event_ = 0;  // of the scenario's, in order of time
    sim::Time asked_ = 0;         // the worker was told of its devices' deadline at this time
};

}  // namespace hvsim::app
