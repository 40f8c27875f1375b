#include "hypervisor-model/host/hypervisor_host.h"

#include <fmt/format.h>

#include <algorithm>

#include "cpu/descriptor.h"
#include "hypervisor-model/svm/svm_backend.h"
#include "hypervisor-model/vmx/vmx_backend.h"
#include "sim/error.h"

namespace hvsim::hv {
namespace {

constexpr std::size_t kVmxPages = 4;                    // VMCS, MSR bitmap, I/O bitmaps A and B
constexpr std::size_t kMsrpmPages = 2, kIopmPages = 3;  // contiguous (APM 2 15.10.1, 15.11)

/// `count` neighbouring pages of the pool, ascending, appended to `pages`; false: there are none.
bool allocate_run(MemoryPool& pool, std::size_t count, std::vector<std::uint64_t>& pages) {
    std::vector<std::uint64_t> taken;
    std::vector<std::uint64_t> run;
    while (run.size() < count) {
        const auto page = pool.allocate();
        if (!page) break;
        taken.push_back(*page);
        std::sort(taken.begin(), taken.end());
        run.clear();
        for (const std::uint64_t candidate : taken) {
            if (!run.empty() && candidate != run.back() + 1) run.clear();
            run.push_back(candidate);
            if (run.size() == count) break;
        }
        if (run.size() < count) run.clear();
    }
    for (const std::uint64_t page : taken)
        if (std::find(run.begin(), run.end(), page) == run.end()) pool.release(page);
    pages.insert(pages.end(), run.begin(), run.end());
    return run.size() == count;
}

bool allocate_svm_pages(MemoryPool& pool, std::vector<std::uint64_t>& pages) {
    if (pool.allocate(1, pages) && allocate_run(pool, kMsrpmPages, pages) &&
        allocate_run(pool, kIopmPages, pages))
        return true;
    for (const std::uint64_t page : pages) pool.release(page);
    pages.clear();
    return false;
}

}  // namespace

HypervisorHost::HypervisorHost(const HypervisorHostConfig& config, sim::Ram& ram,
                               sim::Recorder& recorder, const sim::TimingProfile& timing,
                               CoreFactory& cores, std::span<apic::LocalApic* const> apics)
    : config_(config), ram_(ram), recorder_(recorder), timing_(timing), cores_(cores) {
    check_capabilities();
    prepare_apics(apics);
    for (std::uint32_t i = 0; i < apics.size(); ++i)
        processors_.push_back(
            std::make_unique<LogicalProcessor>(i, *apics[i], *this, config_.slice));
    hypervisor_ = std::make_unique<Hypervisor>(
        config_.hypervisor, HypervisorServices{ram_, recorder_, *this, *this, *this, *this, *this});
    dispatcher_ = std::make_unique<HypercallDispatcher>(*hypervisor_);
    Partition& root = hypervisor_->root();
    for (const auto& [address, length] : config_.device_windows) {
        const GpaPage page{sim::page_of(address), {true, true, false}, false};
        const HvStatus status =
            root.gpa_space().map_range(sim::page_of(address), page, length >> sim::kPageShift);
        SIM_ASSERT(status == HvStatus::success);
    }
    for (VpIndex i = 0; i < apics.size(); ++i) {
        SIM_ASSERT(root.create_vp(i, 0) == HvStatus::success);
        start_root_vp(*root.vp(i));
    }
}

HypervisorHost::~HypervisorHost() {
    hypervisor_.reset();  // its processors give their backends back
}

/// The root partition's operating system was running when the hypervisor launched: 64-bit mode,
/// flat segments, interrupts on, every processor started.
void HypervisorHost::start_root_vp(VirtualProcessor& vp) {
    VpContext& context = vp.context();
    context.set_efer(cpu::efer::kLME | cpu::efer::kLMA | cpu::efer::kNXE | cpu::efer::kSCE);
    context.set_cr(4, cpu::cr4::kPAE | cpu::cr4::kPGE);
    context.set_cr(0,
                   cpu::cr0::kPE | cpu::cr0::kPG | cpu::cr0::kNE | cpu::cr0::kET | cpu::cr0::kWP);
    const Segment data{0x18, 0xffffffff, 0, 0xc093};
    for (const SegmentName name :
         {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
        context.set_segment(name, data);
    context.set_segment(SegmentName::cs, {0x10, 0xffffffff, 0, 0xa09b});
    context.set_segment(SegmentName::tr, {0x20, 0x67, 0, 0x8b});
    context.set_rflags(cpu::rflags::kReserved1 | cpu::rflags::kIF);
    constexpr std::uint64_t kKernelCode = 0xfffff80000100000;
    context.set_rip(kKernelCode);
    context.set_halted(false);
    vp.apic().set_wait_for_sipi(false);
}

void HypervisorHost::check_capabilities() const {
    const bool intel = config_.hypervisor.vendor == Vendor::intel;
    std::string missing;
    const auto add = [&missing](bool present, const char* name) {
        if (present) return;
        if (!missing.empty()) missing += ", ";
        missing += name;
    };
    add(config_.capabilities.virtualization, intel ? "VT-x (VMX)" : "AMD-V (SVM)");
    add(config_.capabilities.slat, intel ? "extended page tables (EPT)" : "nested paging (NPT)");
    add(config_.capabilities.nx, "no-execute pages (NX)");
    add(config_.capabilities.x2apic, "x2APIC mode");
    if (!missing.empty())
        throw sim::ConfigError(
            config_.capabilities_where,
            fmt::format("the hypervisor cannot launch: the processor lacks {}", missing),
            "switch the feature on in the scenario's [host], or run without [hypervisor]");
}

/// The hypervisor drives its local APICs in x2APIC mode.
void HypervisorHost::prepare_apics(std::span<apic::LocalApic* const> apics) {
    constexpr std::uint64_t kEnable = 1u << 11, kX2Apic = 1u << 10;
    constexpr std::uint32_t kSvr = 0x80f, kTimer = 0x832, kDivide = 0x83e;
    for (apic::LocalApic* apic : apics) {
        const std::uint64_t base = apic->read_msr(apic::spec::kMsrApicBase, 0).value_or(0);
        bool done = apic->write_msr(apic::spec::kMsrApicBase, base | kEnable | kX2Apic, 0);
        done = apic->write_msr(kSvr, 0x1ff, 0) && done;
        const std::uint64_t mode = apic->config().tsc_deadline ? 2u << 17 : 0;
        done = apic->write_msr(kTimer, mode | kTimerVector, 0) && done;
        done = apic->write_msr(kDivide, 0xb, 0) && done;  // divide by 1
        SIM_ASSERT(done);
        apic->set_wait_for_sipi(false);
    }
}

// --- processors' backends ---

VpRecord* HypervisorHost::record_of(const VirtualProcessor& vp) {
    for (const auto& record : records_)
        if (record->vp == &vp) return record.get();
    return nullptr;
}

HypervisorHost::Backend& HypervisorHost::entry_of(const VirtualProcessor& vp) {
    const auto found = std::find_if(backends_.begin(), backends_.end(),
                                    [&](const Backend& entry) { return entry.vp == &vp; });
    SIM_ASSERT(found != backends_.end());
    return *found;
}

VpBackend& HypervisorHost::backend(const VirtualProcessor& vp) {
    return *entry_of(vp).backend;
}

cpu::NativeCore& HypervisorHost::root_core(VpIndex index) {
    VirtualProcessor* vp = hypervisor_->root().vp(index);
    SIM_ASSERT(vp != nullptr);
    auto* core = dynamic_cast<cpu::NativeCore*>(entry_of(*vp).core.get());
    SIM_ASSERT(core != nullptr);
    return *core;
}

VpContext* HypervisorHost::create_vp(Partition& partition, VirtualProcessor& vp) {
    const bool intel = config_.hypervisor.vendor == Vendor::intel;
    Backend entry;
    entry.vp = &vp;
    if (intel ? !partition.pool().allocate(kVmxPages, entry.pages)
              : !allocate_svm_pages(partition.pool(), entry.pages))
        return nullptr;
    LogicalProcessor& home = *processors_[vp.index() % processors_.size()];
    vp.set_home(static_cast<std::uint16_t>(home.id()));
    const sim::Subject subject = vp.subject();
    if (partition.is_root())
        entry.core = cores_.native_core(subject);
    else
        entry.core = cores_.guest_core(subject);
    entry.core->set_local_apic(&home.apic());
    const auto address = [&entry](std::size_t i) { return entry.pages[i] << sim::kPageShift; };
    if (intel) {
        const VmxPages pages{address(0), address(1), address(2), address(3)};
        const VmxBackendConfig config{partition.gpa_space().root(), next_vpid_++,
                                      config_.hypervisor.first_reserved_page << sim::kPageShift};
        entry.backend = std::make_unique<VmxBackend>(pages, config, *entry.core, home);
    } else {
        const SvmPages pages{address(0), address(1), address(1 + kMsrpmPages)};
        const SvmBackendConfig config{partition.gpa_space().root(), next_vpid_++,
                                      config_.model->physical_address_bits};
        entry.backend = std::make_unique<SvmBackend>(pages, config, *entry.core, home);
    }
    auto record = std::make_unique<VpRecord>();
    record->vp = &vp;
    record->backend = entry.backend.get();
    record->home = &home;
    record->root = partition.is_root();
    VpContext* context = entry.backend.get();
    backends_.push_back(std::move(entry));
    home.add(*record);
    records_.push_back(std::move(record));
    return context;
}

void HypervisorHost::destroy_vp(VirtualProcessor& vp) {
    VpRecord* record = record_of(vp);
    SIM_ASSERT(record != nullptr);
    record->home->remove(*record);
    std::erase_if(records_, [&](const auto& other) { return other.get() == record; });
    Backend& entry = entry_of(vp);
    for (const std::uint64_t page : entry.pages) vp.partition().pool().release(page);
    std::erase_if(backends_, [&](const Backend& other) { return other.vp == &vp; });
}

CpuidResult HypervisorHost::cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
    cpu::CpuidContext context;
    context.processor_count = static_cast<std::uint32_t>(processors_.size());
    context.tsc_hz = timing_.clock_tsc_hz;
    context.virtualization = false;  // not offered to guests
    const cpu::CpuidResult result = cpu::cpuid(*config_.model, context, leaf, subleaf);
    return {result.eax, result.ebx, result.ecx, result.edx};
}

LpRunTimes HypervisorHost::run_times(std::uint32_t index, sim::Time) const {
    const LogicalProcessor::Counters& counters = processors_.at(index)->counters();
    constexpr sim::Duration kUnit = 100 * sim::kNanosecond;
    return {(counters.guest + counters.hypervisor) / kUnit, counters.hypervisor / kUnit};
}

// --- waking and flushing ---

void HypervisorHost::wake(VirtualProcessor& vp, sim::Time at) {
    VpRecord* record = record_of(vp);
    if (record == nullptr) return;  // it is being made
    LogicalProcessor& home = *record->home;
    home.notice(at);
    if (!home.executing() && on_notice) on_notice();
    if (home.handling_exit() || !home.executing()) {
        // The entry that ends the exit, or the next run, looks at everything anew. A guest that is
        // entered but not executing has to be interrupted.
        if (home.handling_exit()) return;
    }
    apic::InterruptMessage message;
    message.vector = kRescheduleVector;
    message.cause = apic::InterruptCause::hypervisor;
    home.apic().accept(message, at);
    if (home.executing()) record->backend->core().poll_soon();
}

void HypervisorHost::flush(VirtualProcessor& target, const FlushRequest&, sim::Time) {
    // DEVIATION: always the whole TLB of the target; the TLFS allows flushing more than was asked.
    entry_of(target).backend->flush_tlb();
}

void HypervisorHost::flush_guest_physical(Partition& partition) {
    if (iommu_ != nullptr && partition.is_root()) iommu_->update(partition.gpa_space().mapped());
    for (Backend& entry : backends_)
        if (&entry.vp->partition() == &partition) entry.backend->invalidate_guest_physical();
}

// --- devices ---

std::optional<std::uint8_t> HypervisorHost::allocate_device_vector(
    const DeviceInterruptTarget& target) {
    for (unsigned vector = kFirstDeviceVector; vector <= kLastDeviceVector; ++vector) {
        const auto number = static_cast<std::uint8_t>(vector);
        if (device_vectors_.contains(number)) continue;
        device_vectors_[number] = target;
        return number;
    }
    return std::nullopt;
}

void HypervisorHost::device_interrupt(std::uint8_t vector, sim::Time now) {
    const auto found = device_vectors_.find(vector);
    if (found == device_vectors_.end()) return;  // spurious
    VirtualProcessor* vp = hypervisor_->root().vp(found->second.vp);
    if (vp == nullptr) return;
    apic::InterruptMessage message;
    message.vector = found->second.vector;
    message.cause = apic::InterruptCause::device;
    vp->receive(message, now);
}

LogicalProcessor& HypervisorHost::working_processor() const {
    for (const auto& lp : processors_)
        if (lp->executing()) return *lp;
    return *processors_.front();
}

void HypervisorHost::set_iommu(IommuManager* manager) {
    iommu_ = manager;
    if (manager == nullptr) return;
    apic::InterruptMessage message;
    message.vector = kIommuFaultVector;
    message.destination = processors_.front()->apic().id();
    manager->set_fault_interrupt(apic::encode_msi(message));
}

/// The record says what the hypervisor read from the unit; the unit's own event was its cause.
void HypervisorHost::iommu_fault_interrupt(LogicalProcessor& lp) {
    if (iommu_ == nullptr) return;
    sim::Subject subject;
    subject.lp = static_cast<std::uint16_t>(lp.id());
    for (const IommuFault& fault : iommu_->take_faults()) {
        const IommuRequest request = fault.interrupt ? IommuRequest::interrupt
                                     : fault.read    ? IommuRequest::read
                                                     : IommuRequest::write;
        recorder_.record(sim::EventKind::kIommuFault, lp.now(), subject, fault.requester,
                         fault.address, fault.reason, static_cast<std::uint64_t>(request));
    }
}

void HypervisorHost::add_mmio_window(PartitionId partition, std::uint64_t gpa,
                                     cpu::engine::MmioHandler& handler) {
    windows_[{partition, gpa & ~std::uint64_t{0xfff}}] = &handler;
}

void HypervisorHost::remove_mmio_windows(PartitionId partition) {
    std::erase_if(windows_, [&](const auto& entry) { return entry.first.first == partition; });
    open_buses_.erase(partition);
}

cpu::engine::MmioHandler* HypervisorHost::open_bus(Partition& partition) {
    const auto found = open_buses_.find(partition.id());
    return found == open_buses_.end() ? nullptr : found->second;
}

cpu::engine::MmioHandler* HypervisorHost::mmio_window(Partition& partition, std::uint64_t gpa) {
    const auto found = windows_.find({partition.id(), gpa});
    return found == windows_.end() ? nullptr : found->second;
}

void HypervisorHost::guest_action(VirtualProcessor& vp, VpAction action, sim::Time now) {
    if (on_guest_action) on_guest_action(vp, action, now);
}

void HypervisorHost::entry_failed(VirtualProcessor& vp, const EntryReport& report) {
    if (on_entry_failed) on_entry_failed(vp, report);
}

// --- statistics ---

void HypervisorHost::collect(sim::StatisticsSink& sink) const {
    for (const auto& lp : processors_) {
        const LogicalProcessor::Counters& counters = lp->counters();
        const std::string prefix = fmt::format("lp{}.", lp->id());
        sink.add(prefix + "guest", counters.guest, "ps",
                 "Time in guests and native tasks, until an exit is handled");
        sink.add(prefix + "hypervisor", counters.hypervisor, "ps",
                 "Time in exit handlers, switches and entries");
        sink.add(prefix + "idle", counters.idle, "ps", "Time with nothing to run");
        sink.add(prefix + "switches", counters.switches, "count",
                 "Changes of the virtual processor that runs");
        sink.add(prefix + "interrupts", counters.interrupts, "count", "Physical interrupts taken");
    }
    hypervisor_->collect(sink);
}

}  // namespace hvsim::hv
