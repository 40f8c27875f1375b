#include "cpu/svm/guest.h"

#include <cstring>

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/svm/guest_block.h"
#include "sim/error.h"

namespace hvsim::cpu::svm {
namespace {

/// Fields of the save area, by offset and length, that one clean bit stands for (APM 2 15.15.3).
template <std::uint32_t Clean, std::uint16_t Offset, std::uint16_t Length>
struct Range {
    static constexpr std::uint32_t kClean = Clean;
    static constexpr std::uint16_t kOffset = Offset, kLength = Length;
};

/// `visit` for each range that VMRUN loads and #VMEXIT saves.
template <typename Visit>
void for_each_range(Visit&& visit) {
    visit(Range<kNeverCached, 0x570, 16>{});
    visit(Range<kNeverCached, 0x5d8, 8>{});
    visit(Range<kNeverCached, 0x5f8, 8>{});
    visit(Range<clean::kSegments, 0x400, 64>{});
    visit(Range<clean::kSegments, 0x4cb, 1>{});
    visit(Range<clean::kDescriptorTables, 0x460, 16>{});
    visit(Range<clean::kDescriptorTables, 0x480, 16>{});
    visit(Range<clean::kControlRegisters, 0x4d0, 8>{});
    visit(Range<clean::kControlRegisters, 0x548, 24>{});
    visit(Range<clean::kDebugRegisters, 0x560, 16>{});
    visit(Range<clean::kCr2, 0x640, 8>{});
    visit(Range<clean::kNestedPaging, 0x668, 8>{});
}

/// What a host on the same core has left there of its own.
constexpr std::uint32_t kSharedGroups =
    kNeverCached | clean::kDebugRegisters | clean::kCr2 | clean::kNestedPaging;

struct SegmentFields {
    FieldAt<std::uint16_t> selector, attributes;
    FieldAt<std::uint32_t> limit;
    FieldAt<std::uint64_t> base;
};
constexpr SegmentFields segment_at(std::uint16_t offset) {
    const auto plus = [offset](unsigned n) { return static_cast<std::uint16_t>(offset + n); };
    return {{plus(0)}, {plus(2)}, {plus(4)}, {plus(8)}};
}

/// ES, CS, SS, DS: VMRUN's; in the order of their encodings.
constexpr SegmentFields run_segment(unsigned index) {
    return segment_at(static_cast<std::uint16_t>(kStateSaveArea + kSegmentStride * index));
}

struct LoadedSegment {
    SegmentName name;
    SegmentFields fields;
};
constexpr LoadedSegment kLoadedSegments[] = {
    {SegmentName::fs, segment_at(vmcb::FS_SELECTOR.offset)},
    {SegmentName::gs, segment_at(vmcb::GS_SELECTOR.offset)},
    {SegmentName::ldtr, segment_at(vmcb::LDTR_SELECTOR.offset)},
    {SegmentName::tr, segment_at(vmcb::TR_SELECTOR.offset)},
};
struct LoadedMsr {
    std::uint32_t msr;
    FieldAt<std::uint64_t> field;
};
constexpr LoadedMsr kLoadedMsrs[] = {
    {msr::kStar, vmcb::STAR},
    {msr::kLstar, vmcb::LSTAR},
    {msr::kCstar, vmcb::CSTAR},
    {msr::kFmask, vmcb::SFMASK},
    {msr::kKernelGsBase, vmcb::KERNEL_GS_BASE},
    {msr::kSysenterCs, vmcb::SYSENTER_CS},
    {msr::kSysenterEsp, vmcb::SYSENTER_ESP},
    {msr::kSysenterEip, vmcb::SYSENTER_EIP},
};

/// The canonical form that a segment base is loaded in (APM 2 15.5.1).
constexpr std::uint64_t sign_extended(std::uint64_t address) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << 16) >> 16);
}

/// Fields as #VMEXIT saves them: in the processor's image and in memory.
class SavedFields {
  public:
    SavedFields(SaveImage& image, std::uint8_t* memory) : image_(image), memory_(memory) {}
    template <typename T>
    void set(FieldAt<T> field, T value) {
        image_.set(field, value);
        std::memcpy(memory_ + field.offset, &value, sizeof value);
    }

  private:
    SaveImage& image_;
    std::uint8_t* memory_;
};

template <typename T, typename U>
bool replace(T& old, U value) {
    if (old == value) return false;
    old = value;
    return true;
}

template <typename Source>
Segment read_segment(const Source& source, const SegmentFields& fields) {
    return {source.get(fields.selector), source.get(fields.limit), source.get(fields.base),
            rights_from_attrib(source.get(fields.attributes))};
}
template <typename Target>
void write_segment(Target& target, const SegmentFields& fields, const Segment& segment) {
    target.set(fields.selector, segment.selector);
    target.set(fields.attributes, attrib_from_rights(segment.access_rights));
    target.set(fields.limit, segment.limit);
    target.set(fields.base, segment.base);
}

}  // namespace

std::uint32_t rights_from_attrib(std::uint16_t attributes) noexcept {
    const auto rights = static_cast<std::uint32_t>(attrib::LOW::get(attributes) |
                                                   attrib::HIGH::get(attributes) << 12);
    return attrib::P::test(attributes) ? rights : ar::UNUSABLE::set(rights, 1);
}

std::uint16_t attrib_from_rights(std::uint32_t rights) noexcept {
    auto attributes = static_cast<std::uint16_t>((rights & 0xff) | (rights >> 12 & 0xf) << 8);
    return ar::UNUSABLE::test(rights) ? attrib::P::set(attributes, 0) : attributes;
}

Guest::Guest(std::uint64_t address, ExecutionCore& core, HostSoftware& host,
             std::uint8_t physical_bits)
    : vmcb_(core.ram(), address), core_(core), host_(host), physical_bits_(physical_bits) {
    attach(address);
    stage_.ram = &core_.ram();
    stage_.kind = mmu::SecondStageKind::npt;
    stage_.maxphyaddr = physical_bits_;
    stage_.tlb = &core_.nested_tlb();
}

void Guest::attach(std::uint64_t address) {
    SIM_ASSERT(!in_guest_ && core_.ram().contains(address, kVmcbSize) && address % kVmcbSize == 0);
    if (address == vmcb_.address()) return;
    vmcb_ = Vmcb(core_.ram(), address);
    cached_ = false;
}

// --- VMRUN ---

/// How the host's own state bears upon the guest.
void Guest::take_host(const Host& host) {
    surroundings_ = host;
    const bool changes = stage_.npt_mode != host.npt_mode || stage_.npt_nx != host.no_execute ||
                         stage_.npt_page_size_extensions != host.page_size_extensions;
    stage_.npt_mode = host.npt_mode;
    stage_.npt_page_size_extensions = host.page_size_extensions;
    stage_.npt_nx = host.no_execute;
    stage_.npt_tells_fetches = host.no_execute || host.smep;
    if (changes) core_.invalidate_nested();
}

/// Reads the control area but for what a clean bit says is cached. True: something differs from
/// the last VMRUN.
bool Guest::load_controls(std::uint32_t clean) {
    bool changed = false;
    const auto take = [&](auto& old, auto field) { changed |= replace(old, vmcb_.get(field)); };
    if (!(clean & clean::kIntercepts)) {
        take(controls_.cr_reads, vmcb::INTERCEPT_CR_READS);
        take(controls_.cr_writes, vmcb::INTERCEPT_CR_WRITES);
        take(controls_.dr_reads, vmcb::INTERCEPT_DR_READS);
        take(controls_.dr_writes, vmcb::INTERCEPT_DR_WRITES);
        take(controls_.exceptions, vmcb::INTERCEPT_EXCEPTIONS);
        take(controls_.misc[0], vmcb::INTERCEPT_MISC1);
        take(controls_.misc[1], vmcb::INTERCEPT_MISC2);
        take(controls_.misc[2], vmcb::INTERCEPT_MISC3);
        controls_.tsc_offset = vmcb_.get(vmcb::TSC_OFFSET);
        controls_.pause_filter_count = vmcb_.get(vmcb::PAUSE_FILTER_COUNT);
        controls_.pause_filter_threshold = vmcb_.get(vmcb::PAUSE_FILTER_THRESHOLD);
    }
    if (!(clean & clean::kPermissionMaps)) {
        take(controls_.iopm, vmcb::IOPM_BASE_PA);
        take(controls_.msrpm, vmcb::MSRPM_BASE_PA);
    }
    if (!(clean & clean::kAsid)) take(controls_.asid, vmcb::GUEST_ASID);
    if (!(clean & clean::kTpr)) {
        const std::uint64_t vintr = vmcb_.get(vmcb::VINTR);
        constexpr std::uint64_t kRuled = vintr::V_NMI_ENABLE::kMask | vintr::AVIC_ENABLE::kMask |
                                         vintr::X2AVIC_ENABLE::kMask;  // the rest has no rules
        changed |= ((vintr ^ controls_.vintr) & kRuled) != 0;
        controls_.vintr = vintr;
    }
    if (!(clean & clean::kNestedPaging)) {
        take(controls_.nested, vmcb::NESTED_CONTROL);
        take(controls_.n_cr3, vmcb::N_CR3);
    }
    if (!(clean & clean::kAvic)) {
        take(controls_.avic_bar, vmcb::AVIC_APIC_BAR);
        take(controls_.avic_backing_page, vmcb::AVIC_BACKING_PAGE);
        take(controls_.avic_logical_table, vmcb::AVIC_LOGICAL_TABLE);
        take(controls_.avic_physical_table, vmcb::AVIC_PHYSICAL_TABLE);
    }
    controls_.tlb_control = vmcb_.get(vmcb::TLB_CONTROL);
    controls_.event_injection = vmcb_.get(vmcb::EVENTINJ);
    return changed;
}

/// Brings new controls into the core; returns groups of the save area that have to follow.
std::uint32_t Guest::controls_changed() {
    // G_PAT counts only with nested paging.
    const bool repaged = replace(paged_, nested_control::NP_ENABLE::test(controls_.nested));
    stage_.root = controls_.n_cr3;
    const bool traps =
        surroundings_.features.execute_trap && nested_control::GMET::test(controls_.nested);
    if (replace(stage_.npt_execute_trap, traps)) core_.invalidate_nested();
    // The core tags nothing with an ASID: another one, or other tables, begin without translations.
    bool others = replace(translated_asid_, controls_.asid);
    others |= replace(translated_n_cr3_, controls_.n_cr3);
    if (others) core_.invalidate_nested();
    const auto any = [this](std::initializer_list<ExitCode> codes) {
        bool found = false;
        for (const ExitCode code : codes) found |= controls_.intercepts(code);
        return found;
    };
    engine::OptionalIntercepts optional;
    // SMSW reads CR0 past visible_cr(), which is what it should do here: nothing is shadowed.
    optional.cr0_read = sim::bit(controls_.cr_reads, 0);
    optional.cr3_read = sim::bit(controls_.cr_reads, 3);
    optional.cr4_read = sim::bit(controls_.cr_reads, 4);
    optional.cr3_write = sim::bit(controls_.cr_writes, 3);
    optional.pause = any({ExitCode::PAUSE});
    optional.descriptor_reads =
        any({ExitCode::IDTR_READ, ExitCode::GDTR_READ, ExitCode::LDTR_READ, ExitCode::TR_READ});
    optional.pushf = any({ExitCode::PUSHF});
    optional.popf = any({ExitCode::POPF});
    optional.iret = any({ExitCode::IRET});
    // Modelled host software lets its guests have them all.
    optional.native_msrs = surroundings_.shares_core && any({ExitCode::MSR});
    core_.set_optional_intercepts(optional);
    return repaged ? clean::kNestedPaging : 0;
}

/// Reads the save area but for what `clean` says is cached; returns the groups that differ from
/// what the processor holds.
std::uint32_t Guest::pull(std::uint32_t clean) {
    const std::uint8_t* memory = core_.ram().data() + vmcb_.address();
    std::uint32_t changed = 0;
    for_each_range([&]<typename R>(R) {
        if ((clean & R::kClean) != 0) return;
        std::uint8_t* held = image_.at(R::kOffset);
        if (std::memcmp(held, memory + R::kOffset, R::kLength) == 0) return;
        std::memcpy(held, memory + R::kOffset, R::kLength);
        changed |= R::kClean;
    });
    return changed;
}

/// APM 2 15.5.1: real mode has CPL 0 and virtual-8086 mode CPL 3, whatever the VMCB says.
unsigned Guest::guest_cpl() const noexcept {
    if (!(image_.get(vmcb::CR0) & cr0::kPE)) return 0;
    return image_.get(vmcb::RFLAGS) & rflags::kVM ? 3 : image_.get(vmcb::CPL);
}

void Guest::apply_segments() {
    for (unsigned i = 0; i < 4; ++i) {
        const auto name = static_cast<SegmentName>(i);
        Segment segment = read_segment(image_, run_segment(i));
        // The core's CPL is SS.DPL: the VMCB's CPL takes its place until SS is loaded anew.
        if (name == SegmentName::ss) {
            segment.access_rights = ar::DPL::set(segment.access_rights, guest_cpl());
            entered_ss_ = segment;
        }
        // 64-bit mode ignores the base, whatever the VMCB holds there.
        if (name == SegmentName::cs && (core_.efer() & efer::kLMA) &&
            ar::L::test(segment.access_rights))
            segment.base = 0;
        if (core_.segment(name) != segment) core_.set_segment(name, segment);
    }
}

/// Brings groups of the image into the core.
void Guest::apply(std::uint32_t groups) {
    if (groups & clean::kControlRegisters) {
        // LMA follows from LME and PG (APM 2 15.5.1).
        std::uint64_t value = image_.get(vmcb::EFER) & ~efer::kLMA;
        const std::uint64_t cr0 = image_.get(vmcb::CR0);
        if ((value & efer::kLME) && (cr0 & cr0::kPG)) value |= efer::kLMA;
        if (core_.efer() != value) core_.set_efer(value);
        if (core_.cr(4) != image_.get(vmcb::CR4)) core_.set_cr(4, image_.get(vmcb::CR4));
        if (core_.cr(3) != image_.get(vmcb::CR3)) core_.set_cr(3, image_.get(vmcb::CR3));
        if (core_.cr(0) != cr0) core_.set_cr(0, cr0);
    }
    // Before the segments: RFLAGS.VM decides what they mean.
    if (groups & kNeverCached) {
        if (core_.rflags() != image_.get(vmcb::RFLAGS)) core_.set_rflags(image_.get(vmcb::RFLAGS));
        core_.set_rip(image_.get(vmcb::RIP));
        core_.set_gpr(engine::kRsp, image_.get(vmcb::RSP));
        core_.set_gpr(engine::kRax, image_.get(vmcb::RAX));
    }
    if (groups & clean::kSegments) apply_segments();
    if (groups & clean::kDescriptorTables) {
        core_.set_gdtr({image_.get(vmcb::GDTR_BASE),
                        static_cast<std::uint16_t>(image_.get(vmcb::GDTR_LIMIT))});
        core_.set_idtr({image_.get(vmcb::IDTR_BASE),
                        static_cast<std::uint16_t>(image_.get(vmcb::IDTR_LIMIT))});
    }
    if (groups & clean::kDebugRegisters) {
        core_.set_dr(6, image_.get(vmcb::DR6));
        core_.set_dr(7, image_.get(vmcb::DR7));
    }
    if (groups & clean::kCr2) core_.set_cr(2, image_.get(vmcb::CR2));
    if ((groups & clean::kNestedPaging) && paged_) core_.set_pat(image_.get(vmcb::G_PAT));
}

/// APM 2 15.20. The event that is on its way into the guest, or an empty one.
Event Guest::inject_event() {
    const std::uint64_t info = controls_.event_injection;
    Event injected;
    if (!event::V::test(info)) return injected;
    injected.vector = static_cast<std::uint8_t>(event::VECTOR::get(info));
    injected.type = static_cast<EventType>(event::TYPE::get(info));
    injected.has_error_code = event::EV::test(info);
    if (injected.has_error_code)
        injected.error_code = static_cast<std::uint32_t>(event::ERRORCODE::get(info));
    const bool exception = injected.type == EventType::hardware_exception;
    // Vectors 3 and 4 act as the traps of INT3 and INTO.
    if (exception && (injected.vector == kBP || injected.vector == kOF))
        injected.type = EventType::software_exception;
    if (injected.type == EventType::software_exception ||
        injected.type == EventType::software_interrupt) {
        // With next-RIP saving, that is where the handler returns to.
        const std::uint64_t length = vmcb_.get(vmcb::NRIP) - core_.rip();
        injected.instruction_length = length <= 15 ? static_cast<std::uint8_t>(length) : 0;
    }
    if (exception && injected.vector == kPF) injected.address = core_.cr(2);
    if (injected.type == EventType::nmi && has_virtual_nmis()) core_.set_nmi_blocked(true);
    core_.charge(core_.timing().entry_event_injection);
    core_.inject(injected);
    return injected;
}

EntryResult Guest::refuse(const EntryFailure& failure) {
    cached_ = false;
    vmcb_.set(vmcb::EXITCODE, static_cast<std::uint64_t>(ExitCode::INVALID));
    vmcb_.set(vmcb::EXITINFO1, std::uint64_t{0});
    vmcb_.set(vmcb::EXITINFO2, std::uint64_t{0});
    vmcb_.set(vmcb::EXITINTINFO, std::uint64_t{0});
    // A program's VMRUN is told by Operation, which knows where it is; modelled host software has
    // no instructions.
    if (!surroundings_.shares_core) {
        core_.recorder().give_code({});
        core_.recorder().record(sim::EventKind::kVmEntryFailed, core_.now(), core_.subject(),
                                failure.rule, failure.field, failure.value);
    }
    if (core_.watch() != nullptr) core_.watch()->on_failed_entry(core_, GuestBlock(vmcb_));
    return last_entry_ = {true, failure};
}

EntryResult Guest::vmrun(const Host& host) {
    SIM_ASSERT(!in_guest_);
    // Bits that name no group may be set; software keeps its own there.
    const std::uint32_t clean = cached_ ? vmcb_.get(vmcb::CLEAN) & clean::kAll : 0;
    const bool everything = !cached_;
    const bool controls_differ = load_controls(clean) || everything;
    std::uint32_t differing = pull(clean);
    if (everything) differing = ~std::uint32_t{0};
    const bool moved = !(surroundings_ == host);
    take_host(host);
    EntryFailure failure;
    if (!check_event(controls_, failure)) return refuse(failure);
    if (controls_differ || moved ||
        (differing & ~(kNeverCached | clean::kCr2 | clean::kDescriptorTables)) != 0) {
        if (!check_state(controls_, image_, host, physical_bits_, failure)) return refuse(failure);
        if (!check_pdptes(core_.ram(), controls_, image_, physical_bits_, failure))
            return refuse(failure);
    }
    if (controls_differ) differing |= controls_changed();
    if (controls_.tlb_control != tlb_control::kNothing) core_.invalidate_nested();
    if (host.shares_core) differing |= kSharedGroups;
    apply(differing);
    const bool shadow = interrupt_shadow::SHADOW::test(vmcb_.get(vmcb::INTERRUPT_SHADOW));
    if (core_.interrupt_shadow() != shadow) core_.set_interrupt_shadow(shadow);
    core_.set_activity(ActivityState::active);
    if (has_virtual_nmis()) {
        host_nmi_blocked_ = core_.nmi_blocked();
        core_.set_nmi_blocked(vintr::V_NMI_MASK::test(controls_.vintr));
    }
    cached_ = true;
    in_guest_ = true;
    pauses_left_ = controls_.pause_filter_count;
    core_.set_guest_mode(this);
    const bool avic = host.features.avic && vintr::AVIC_ENABLE::test(controls_.vintr);
    const bool x2apic = host.features.x2avic && vintr::X2AVIC_ENABLE::test(controls_.vintr);
    avic_.start(avic, x2apic, physical_bits_);
    core_.charge(core_.timing().entry_base);
    const Event injected = inject_event();
    const std::uint64_t info = controls_.event_injection;
    core_.recorder().record(sim::EventKind::kVmEntry, core_.now(), core_.subject(),
                            event::V::test(info) ? info & 0xffffffff : 0, injected.error_code,
                            core_.rip());
    core_.poll_soon();
    return last_entry_ = {};
}

// --- #VMEXIT's part: state back to memory ---

void Guest::save() {
    core_.ram().about_to_write(vmcb_.address(), kVmcbSize);
    SavedFields saved(image_, core_.ram().data() + vmcb_.address());
    for (unsigned i = 0; i < 4; ++i) {
        const auto name = static_cast<SegmentName>(i);
        const Segment segment = core_.segment(name);
        if (name != SegmentName::ss || segment != entered_ss_)
            write_segment(saved, run_segment(i), segment);
    }
    const bool real = !(core_.cr(0) & cr0::kPE);
    saved.set(vmcb::CPL, static_cast<std::uint8_t>(real ? 0 : core_.cpl()));
    const TableRegister gdtr = core_.gdtr(), idtr = core_.idtr();
    saved.set(vmcb::GDTR_LIMIT, std::uint32_t{gdtr.limit});
    saved.set(vmcb::GDTR_BASE, gdtr.base);
    saved.set(vmcb::IDTR_LIMIT, std::uint32_t{idtr.limit});
    saved.set(vmcb::IDTR_BASE, idtr.base);
    saved.set(vmcb::EFER, core_.efer());
    saved.set(vmcb::CR4, core_.cr(4));
    saved.set(vmcb::CR3, core_.cr(3));
    saved.set(vmcb::CR0, core_.cr(0));
    saved.set(vmcb::DR7, core_.dr(7));
    saved.set(vmcb::DR6, core_.dr(6));
    saved.set(vmcb::RFLAGS, core_.rflags());
    saved.set(vmcb::RIP, core_.rip());
    saved.set(vmcb::RSP, core_.gpr(engine::kRsp));
    saved.set(vmcb::RAX, core_.gpr(engine::kRax));
    saved.set(vmcb::CR2, core_.cr(2));
    if (paged_) saved.set(vmcb::G_PAT, core_.pat());
    // The only bits of VINTR that the processor changes.
    std::uint64_t own = vintr::V_TPR::kMask | vintr::V_IRQ::kMask;
    if (has_virtual_gif()) own |= vintr::VGIF::kMask;
    if (has_virtual_nmis()) {
        own |= vintr::V_NMI::kMask | vintr::V_NMI_MASK::kMask;
        controls_.vintr = vintr::V_NMI_MASK::set(controls_.vintr, core_.nmi_blocked() ? 1 : 0);
    }
    vmcb_.set(vmcb::VINTR, (vmcb_.get(vmcb::VINTR) & ~own) | (controls_.vintr & own));
    vmcb_.set(vmcb::INTERRUPT_SHADOW, std::uint64_t{core_.interrupt_shadow()});
}

void Guest::sync() {
    if (in_guest_) save();
}

void Guest::adopt() {
    if (!in_guest_) return;
    load_controls(0);
    const std::uint32_t forced = controls_changed();
    apply(pull(0) | forced);
    const bool shadow = interrupt_shadow::SHADOW::test(vmcb_.get(vmcb::INTERRUPT_SHADOW));
    if (core_.interrupt_shadow() != shadow) core_.set_interrupt_shadow(shadow);
    core_.poll_soon();
}

// --- VMLOAD, VMSAVE (APM 3) ---

void vmload(ExecutionCore& core, const Vmcb& vmcb) {
    for (const LoadedSegment& loaded : kLoadedSegments) {
        Segment segment = read_segment(vmcb, loaded.fields);
        segment.base = sign_extended(segment.base);
        if (core.segment(loaded.name) != segment) core.set_segment(loaded.name, segment);
    }
    for (const LoadedMsr& loaded : kLoadedMsrs) {
        std::uint64_t value = vmcb.get(loaded.field);
        if (loaded.msr == msr::kKernelGsBase) value = sign_extended(value);
        core.set_native_msr(loaded.msr, value);
    }
}

void vmsave(ExecutionCore& core, const Vmcb& vmcb) {
    for (const LoadedSegment& loaded : kLoadedSegments)
        write_segment(vmcb, loaded.fields, core.segment(loaded.name));
    for (const LoadedMsr& loaded : kLoadedMsrs) vmcb.set(loaded.field, core.native_msr(loaded.msr));
}

}  // namespace hvsim::cpu::svm
