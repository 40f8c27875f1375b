#include "app/machine/hv_machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/machine/final_state.h"
#include "app/machine/processor_state.h"
#include "hypervisor-model/partition.h"
#include "sim/error.h"

namespace hvsim::app {
namespace {

/// The hypervisor's own memory: its objects and the root partition's pool, at the end of RAM.
constexpr std::uint64_t kReservedPages = 4096;
/// Where the root partition's software puts its first page.
constexpr std::uint64_t kRootHeap = 16u << 20;

hv::PartitionFeatures guest_features(const HypervisorConfig& config) {
    namespace bits = hv::cpuid;
    hv::PartitionFeatures features;
    const auto set = [](std::uint32_t& word, std::uint32_t bit, bool on) {
        word = on ? word | bit : word & ~bit;
    };
    set(features.hints, bits::kAutoEoiDeprecated, config.deprecate_auto_eoi);
    set(features.hints, bits::kRemoteFlush, config.tlb_flush_hypercalls);
    set(features.hints, bits::kClusterIpi, config.ipi_hypercalls);
    set(features.hints, bits::kExtendedProcessorMasks,
        config.tlb_flush_hypercalls || config.ipi_hypercalls);
    set(features.features, bits::kDirectTimers, config.direct_timers);
    set(features.features, bits::kFrequencyMsrs, config.frequency_msrs);
    const auto privilege = [&](hv::Privilege bit, bool on) {
        features.privileges =
            on ? features.privileges | hv::mask_of(bit) : features.privileges & ~hv::mask_of(bit);
    };
    privilege(hv::Privilege::access_frequencies, config.frequency_msrs);
    privilege(hv::Privilege::access_tsc_invariant, config.invariant_tsc);
    features.x2apic = config.x2apic;
    features.eoi_assist = config.eoi_assist;
    return features;
}

hv::HypervisorHostConfig host_config(const Board& board) {
    const Scenario& scenario = board.scenario;
    const bool intel = board.model.vendor == cpu::Vendor::intel;
    hv::HypervisorHostConfig config;
    config.hypervisor.vendor = intel ? hv::Vendor::intel : hv::Vendor::amd;
    config.hypervisor.tsc_hz = scenario.timing.clock_tsc_hz;
    config.hypervisor.apic_timer_hz = scenario.timing.clock_apic_timer_hz;
    config.hypervisor.physical_address_bits = board.model.physical_address_bits;
    config.hypervisor.reserved_pages = kReservedPages;
    // The hypervisor's own pages end the memory below 4 GiB.
    config.hypervisor.first_reserved_page =
        sim::page_of(board.ram.pieces().front().end()) - kReservedPages;
    config.hypervisor.guest_features = guest_features(*scenario.hypervisor);
    config.model = &board.model;
    config.capabilities.virtualization =
        !scenario.host.disabled(intel ? Feature::vmx : Feature::svm);
    config.capabilities.nx = !scenario.host.disabled(Feature::nx);
    config.capabilities.slat = !scenario.host.disabled(Feature::slat);
    config.capabilities.x2apic = !scenario.host.disabled(Feature::x2apic);
    config.capabilities_where = scenario.where("host.disable");
    config.slice = scenario.hypervisor->scheduler_slice;
    config.device_windows.emplace_back(kNvmeAddress, kNvmeSize);
    return config;
}

/// The unit's registers as transactions of the processor that the hypervisor runs on, which waits
/// for them.
class BusIommuRegisters final : public hv::IommuRegisters {
  public:
    BusIommuRegisters(const hv::HypervisorHost& host, Board& board) : host_(host), board_(board) {}
    std::uint64_t read(std::uint32_t offset, unsigned size) override {
        hv::LogicalProcessor& lp = host_.working_processor();
        sim::Duration delay = 0;
        const std::uint64_t value =
            bus_of(lp).read_memory(kIommuAddress + offset, size, lp.now(), delay);
        lp.charge(delay);
        return value;
    }
    void write(std::uint32_t offset, unsigned size, std::uint64_t value) override {
        hv::LogicalProcessor& lp = host_.working_processor();
        sim::Duration delay = 0;
        bus_of(lp).write_memory(kIommuAddress + offset, size, value, lp.now(), delay);
        lp.charge(delay);
    }

  private:
    cpu::Bus& bus_of(const hv::LogicalProcessor& lp) { return *board_.buses.at(lp.id()); }

    const hv::HypervisorHost& host_;
    Board& board_;
};

}  // namespace

HvMachine::HvMachine(Board& board) : board_(board) {
    const Scenario& scenario = board.scenario;
    engines_ = std::make_unique<cpu::engine::EngineGroup>(board.ram, scenario.host.code_buffer);
    disks_ = std::make_unique<DiskController>(board);
    std::vector<apic::LocalApic*> apics;
    for (const auto& apic : board.apics) apics.push_back(apic.get());
    host_ = std::make_unique<hv::HypervisorHost>(host_config(board), board.ram, board.recorder,
                                                 scenario.timing, *this, apics);
    connect_callbacks();
    for (const auto& lp : host_->processors()) {
        processors_.push_back(std::make_unique<HvProcessor>(*lp));
        board.dispatcher.add(*processors_.back());
    }
    const std::uint64_t end = host_->hypervisor().config().first_reserved_page << sim::kPageShift;
    std::vector<sim::RamPiece> heap = board.ram.pieces();
    heap.front() = {kRootHeap, end - kRootHeap};
    root_memory_ = std::make_unique<hv::stack::RootMemory>(std::move(heap));
    root_ = std::make_unique<hv::stack::RootPartition>(scenario.timing, *root_memory_);
    for (std::uint32_t i = 0; i < scenario.host.processors; ++i) root_->add_vp(host_->root_core(i));
    connect_storage();
    for (std::size_t i = 0; i < scenario.vms.size(); ++i) add_vm(i);
}

/// The hypervisor takes the IOMMU before any device works; the disk controller's interrupt goes
/// through its remapping table.
void HvMachine::launch_iommu(std::uint8_t vector) {
    iommu_registers_ = std::make_unique<BusIommuRegisters>(*host_, board_);
    hv::Partition& root = host_->hypervisor().root();
    iommu_ = std::make_unique<hv::IommuManager>(board_.ram, root.pool(), *iommu_registers_);
    iommu_->launch(root.gpa_space().mapped());
    iommu_->attach_device(kNvmeRequester);
    host_->set_iommu(iommu_.get());
    const apic::MsiMessage msi = iommu_->allocate_interrupt(kNvmeRequester, 0, vector);
    storage_->set_interrupt({msi.address, msi.data});
}

/// The disk controller's interrupt: from its MSI to a physical vector of processor 0, from there to
/// the root partition.
void HvMachine::connect_storage() {
    const auto vector = host_->allocate_device_vector({0, kRootDiskVector});
    SIM_ASSERT(vector.has_value());
    apic::InterruptMessage message;
    message.vector = *vector;
    message.destination = 0;
    const apic::MsiMessage msi = apic::encode_msi(message);
    storage_ = std::make_unique<RootStorage>(*root_, kNvmeAddress,
                                             hv::stack::InterruptMessage{msi.address, msi.data});
    if (board_.iommu)
        board_.dispatcher.on_start = [this, number = *vector] { launch_iommu(number); };
}

HvMachine::~HvMachine() {
    host_->set_iommu(nullptr);
}

void HvMachine::connect_callbacks() {
    board_.interrupts.on_arrival = [this](std::size_t target, sim::Time at) {
        host_->processors().at(target)->notice(at);
        board_.dispatcher.reconsider();
    };
    host_->on_notice = [this] { board_.dispatcher.reconsider(); };
    host_->on_guest_action = [this](hv::VirtualProcessor& vp, hv::VpAction action, sim::Time now) {
        for (const auto& vm : vms_) {
            if (vm->partition() != vp.partition().id()) continue;
            if (action == hv::VpAction::reset_partition) vm->end(MachineEnd::reboot, now, {});
            if (action == hv::VpAction::crash_notified && vp.partition().crash()) {
                const auto& p = vp.partition().crash()->parameters;
                vm->end(MachineEnd::crash, now,
                        fmt::format("crash parameters {:#x} {:#x} {:#x} {:#x} {:#x}", p[0], p[1],
                                    p[2], p[3], p[4]));
            }
        }
    };
    const char* const manual = board_.model.vendor == cpu::Vendor::intel ? "SDM 3C" : "APM 2";
    host_->on_entry_failed = [manual](hv::VirtualProcessor& vp, const hv::EntryReport& report) {
        throw sim::ModelError(fmt::format(
            "VM entry of virtual processor {} of partition {} failed: rule {} ({} {}) demands {} "
            "in {}, found {:#x}",
            vp.index(), vp.partition().id(), report.rule, manual, report.section, report.demand,
            report.field, report.value));
    };
}

std::unique_ptr<cpu::ExecutionCore> HvMachine::guest_core(const sim::Subject& subject) {
    cpu::CoreConfig config;
    config.model = &board_.model;
    config.subject = subject;
    auto core =
        std::make_unique<cpu::Core>(*engines_, board_.ram, *board_.buses[0], board_.clock,
                                    board_.scenario.timing, board_.recorder, config, nullptr);
    core->set_watch(board_.options.watch);
    guest_cores_.push_back(core.get());
    board_.sampler.add(*core);
    return core;
}

std::unique_ptr<cpu::NativeCore> HvMachine::native_core(const sim::Subject& subject) {
    cpu::NativeCoreConfig config;
    config.model = &board_.model;
    config.subject = subject;
    const std::size_t bus = subject.vp % board_.buses.size();
    auto core = std::make_unique<cpu::NativeCore>(board_.ram, *board_.buses[bus],
                                                  board_.scenario.timing, board_.recorder, config);
    core->set_watch(board_.options.watch);
    return core;
}

void HvMachine::add_vm(std::size_t index) {
    vms_.push_back(std::make_unique<Vm>(board_, *host_, *root_, *storage_, *disks_, index, [this] {
        if (all_ended()) board_.dispatcher.end();
    }));
}

bool HvMachine::all_ended() const {
    return std::all_of(vms_.begin(), vms_.end(), [](const auto& vm) { return vm->ended(); });
}

void HvMachine::note_hang() {
    for (const auto& vm : vms_) vm->end(MachineEnd::halt, board_.dispatcher.now(), {});
}

std::uint64_t HvMachine::code_bytes() const {
    std::uint64_t bytes = 0;
    for (const cpu::Core* core : guest_cores_) bytes += core->code_bytes();
    return bytes;
}

void HvMachine::finish() {
    sim::Digest& digest = board_.recorder.digest();
    for (const cpu::Core* core : guest_cores_) add_registers(digest, *core);
    for (const auto& vm : vms_)
        if (vm->partition() != hv::kInvalidPartition)
            add_memory(digest, board_.ram, vm->worker().memory_base(),
                       vm->worker().description().ram);
}

std::vector<analysis::ProcessorState> HvMachine::processors() const {
    std::vector<analysis::ProcessorState> states;
    for (cpu::Core* core : guest_cores_)
        states.push_back(state_of(
            *core,
            fmt::format("partition {} vp {}", core->subject().partition, core->subject().vp)));
    return states;
}

void HvMachine::collect(RunOutcome& outcome) const {
    outcome.machines.clear();
    for (const auto& vm : vms_) outcome.machines.push_back(vm->outcome());
    outcome.code_bytes = code_bytes();
    outcome.instructions = 0;
    for (const cpu::Core* core : guest_cores_) outcome.instructions += core->instructions();
    for (const cpu::Core* core : guest_cores_)
        outcome.greatest_overshoot =
            std::max(outcome.greatest_overshoot, core->counters().greatest_overshoot);
    analysis::StatisticsList list;
    host_->collect(list);
    for (const auto& vm : vms_) vm->collect(list);
    storage_->collect(list);
    disks_->collect(list);
    if (board_.iommu) board_.iommu->collect(list);
    if (iommu_) iommu_->collect(list);
    board_.memory_bus.collect(list);
    board_.io_bus.collect(list);
    outcome.statistics = std::move(list.items);
}

}  // namespace hvsim::app
