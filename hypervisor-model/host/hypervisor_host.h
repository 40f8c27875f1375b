#pragma once
// The hypervisor on its host: launch, logical processors, processor backends and device interrupts.
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "cpu/models/model.h"
#include "cpu/native_core.h"
#include "hypervisor-model/host/iommu_manager.h"
#include "hypervisor-model/host/logical_processor.h"
#include "hypervisor-model/hypervisor.h"
#include "sim/error.h"

namespace hvsim::hv {

/// Makes the cores that virtual processors run on.
class CoreFactory {
  public:
    virtual ~CoreFactory() = default;
    /// Executes guest code on an engine.
    virtual std::unique_ptr<cpu::ExecutionCore> guest_core(const sim::Subject& subject) = 0;
    /// Runs the root partition's software.
    virtual std::unique_ptr<cpu::NativeCore> native_core(const sim::Subject& subject) = 0;
};

/// What the hypervisor finds on the processor before it launches.
struct HostCapabilities {
    bool virtualization =
        true;  ///< VMX and enabled by IA32_FEATURE_CONTROL, or SVM and VM_CR.SVMDIS 0
    bool nx = true;
    bool slat = true;  ///< EPT or NPT
    bool x2apic = true;
};

struct HypervisorHostConfig {
    HypervisorConfig hypervisor;
    const cpu::Model* model = nullptr;
    HostCapabilities capabilities;
    sim::SourceLocation capabilities_where;        ///< for messages: where the user took some away
    sim::Duration slice = 10 * sim::kMillisecond;  ///< of a virtual processor that shares its LP
    /// Device windows that the root partition owns: first address and length, page multiples.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> device_windows;
};

/// Where a device's interrupt goes in the root partition.
struct DeviceInterruptTarget {
    VpIndex vp = 0;
    std::uint8_t vector = 0;
};

class HypervisorHost final : public VpWaker,
                             public TlbShootdown,
                             public VpBackendFactory,
                             public HostCpuid,
                             public LogicalProcessors,
                             public HostServices,
                             public sim::StatisticsSource {
  public:
    /// `apics`: of the logical processors, in their order. Launches: throws ConfigError naming what
    /// is missing. Makes the root partition with one virtual processor for each logical one.
    HypervisorHost(const HypervisorHostConfig& config, sim::Ram& ram, sim::Recorder& recorder,
                   const sim::TimingProfile& timing, CoreFactory& cores,
                   std::span<apic::LocalApic* const> apics);
    ~HypervisorHost() override;

    Hypervisor& hypervisor() noexcept { return *hypervisor_; }
    std::vector<std::unique_ptr<LogicalProcessor>>& processors() noexcept { return processors_; }
    cpu::NativeCore& root_core(VpIndex index);
    VpBackend& backend(const VirtualProcessor& vp);
    const std::vector<std::unique_ptr<VpRecord>>& records() const noexcept { return records_; }

    /// Allocates a physical vector for a device's interrupt; nullopt: none left.
    std::optional<std::uint8_t> allocate_device_vector(const DeviceInterruptTarget& target);
    /// Device page of a child that the root partition's software serves (the VID's business).
    void add_mmio_window(PartitionId partition, std::uint64_t gpa,
                         cpu::engine::MmioHandler& handler);
    /// Loads and stores of a child at addresses with neither memory nor a device page.
    void set_open_bus(PartitionId partition, cpu::engine::MmioHandler& handler) {
        open_buses_[partition] = &handler;
    }
    void remove_mmio_windows(PartitionId partition);

    /// The host's IOMMU, when there is one (not owned): it follows the root partition's memory, and
    /// reports its faults to processor 0.
    void set_iommu(IommuManager* manager);
    /// The processor that the hypervisor runs on now: the one that executes, or processor 0, on
    /// which it launches.
    LogicalProcessor& working_processor() const;

    /// A processor that does not execute now has got something to do.
    std::function<void()> on_notice;
    /// Told of resets and crashes that guests ask for, and of refused entries.
    std::function<void(VirtualProcessor&, VpAction, sim::Time)> on_guest_action;
    std::function<void(VirtualProcessor&, const EntryReport&)> on_entry_failed;

    // --- VpWaker, TlbShootdown, VpBackendFactory, HostCpuid, LogicalProcessors ---
    void wake(VirtualProcessor& vp, sim::Time at) override;
    void flush(VirtualProcessor& target, const FlushRequest& request, sim::Time now) override;
    void flush_guest_physical(Partition& partition) override;
    VpContext* create_vp(Partition& partition, VirtualProcessor& vp) override;
    void destroy_vp(VirtualProcessor& vp) override;
    CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) const override;
    std::uint32_t count() const override { return static_cast<std::uint32_t>(processors_.size()); }
    LpRunTimes run_times(std::uint32_t index, sim::Time now) const override;

    // --- HostServices ---
    HypercallDispatcher& dispatcher() override { return *dispatcher_; }
    void device_interrupt(std::uint8_t vector, sim::Time now) override;
    void iommu_fault_interrupt(LogicalProcessor& lp) override;
    cpu::engine::MmioHandler* mmio_window(Partition& partition, std::uint64_t gpa) override;
    cpu::engine::MmioHandler* open_bus(Partition& partition) override;
    void guest_action(VirtualProcessor& vp, VpAction action, sim::Time now) override;
    void entry_failed(VirtualProcessor& vp, const EntryReport& report) override;
    const sim::TimingProfile& timing() const override { return timing_; }
    sim::Recorder& recorder() override { return recorder_; }

    // --- statistics ---
    void collect(sim::StatisticsSink& sink) const override;

  private:
    struct Backend {
        VirtualProcessor* vp = nullptr;
        std::unique_ptr<cpu::ExecutionCore> core;
        std::unique_ptr<VpBackend> backend;
        std::vector<std::uint64_t> pages;  // system page numbers, from the partition's pool
    };

    void check_capabilities() const;
    void start_root_vp(VirtualProcessor& vp);
    void prepare_apics(std::span<apic::LocalApic* const> apics);
    VpRecord* record_of(const VirtualProcessor& vp);
    Backend& entry_of(const VirtualProcessor& vp);

    HypervisorHostConfig config_;
    sim::Ram& ram_;
    sim::Recorder& recorder_;
    const sim::TimingProfile& timing_;
    CoreFactory& cores_;
    std::vector<std::unique_ptr<LogicalProcessor>> processors_;
    std::vector<std::unique_ptr<VpRecord>> records_;
    std::vector<Backend> backends_;
    std::unique_ptr<Hypervisor> hypervisor_;
    std::unique_ptr<HypercallDispatcher> dispatcher_;
    std::map<std::uint8_t, DeviceInterruptTarget> device_vectors_;
    std::map<std::pair<PartitionId, std::uint64_t>, cpu::engine::MmioHandler*> windows_;
    std::map<PartitionId, cpu::engine::MmioHandler*> open_buses_;
    IommuManager* iommu_ = nullptr;
    std::uint16_t next_vpid_ = 1;
};

}  // namespace hvsim::hv
