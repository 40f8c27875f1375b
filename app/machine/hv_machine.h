#pragma once
// The server under the hypervisor: root partition, its software, and the virtual machines.
#include "app/machine/board.h"
#include "app/machine/vm.h"
#include "hypervisor-model/host/hypervisor_host.h"
#include "hypervisor-model/host/iommu_manager.h"
#include "hypervisor-model/stack/root_partition.h"

namespace hvsim::app {

/// A logical processor of the hypervisor for the dispatcher.
class HvProcessor final : public Processor {
  public:
    explicit HvProcessor(hv::LogicalProcessor& lp) : lp_(lp) {}
    sim::Time now() const override { return lp_.now(); }
    sim::Time wake_time() const override { return lp_.wake_time(); }
    void run(sim::Time until) override { lp_.run(until); }
    void shorten(sim::Time until) override { lp_.shorten(until); }

  private:
    hv::LogicalProcessor& lp_;
};

class HvMachine final : public hv::CoreFactory {
  public:
    explicit HvMachine(Board& board);
    ~HvMachine() override;

    void collect(RunOutcome& outcome) const;
    std::vector<analysis::ProcessorState> processors() const;
    void finish();
    std::uint64_t code_bytes() const;
    /// Every virtual machine has ended.
    bool all_ended() const;
    /// Nothing will ever happen again: machines that have not ended hang.
    void note_hang();

    /// Its parts, for more software of the root partition than the scenario's machines need.
    hv::HypervisorHost& host() noexcept { return *host_; }
    hv::stack::RootPartition& root() noexcept { return *root_; }
    RootStorage& storage() noexcept { return *storage_; }
    /// Null: the host has no IOMMU.
    hv::IommuManager* iommu() noexcept { return iommu_.get(); }

  private:
    std::unique_ptr<cpu::ExecutionCore> guest_core(const sim::Subject& subject) override;
    std::unique_ptr<cpu::NativeCore> native_core(const sim::Subject& subject) override;
    void connect_callbacks();
    void launch_iommu(std::uint8_t vector);
    void connect_storage();
    void add_vm(std::size_t index);

    Board& board_;
    std::unique_ptr<cpu::engine::EngineGroup> engines_;
    std::vector<cpu::Core*> guest_cores_;
    std::unique_ptr<hv::HypervisorHost> host_;
    std::vector<std::unique_ptr<HvProcessor>> processors_;
    std::unique_ptr<hv::stack::RootMemory> root_memory_;
    std::unique_ptr<hv::stack::RootPartition> root_;
    std::unique_ptr<DiskController> disks_;
    std::unique_ptr<hv::IommuRegisters> iommu_registers_;
    std::unique_ptr<hv::IommuManager> iommu_;
    std::unique_ptr<RootStorage> storage_;
    std::vector<std::unique_ptr<Vm>> vms_;
};

}  // namespace hvsim::app
