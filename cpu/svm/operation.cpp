#include "cpu/svm/operation.h"

#include "cpu/decode.h"
#include "cpu/descriptor.h"

namespace hvsim::cpu::svm {
namespace {

constexpr std::uint8_t kSX = 30;  // security exception (APM 2 8.2.25)
constexpr std::uint32_t kInitRedirected = 1;
constexpr std::uint64_t kInitRedirection = 1u << 1;  // VM_CR.R_INIT (APM 2 15.30.1)

constexpr std::uint32_t kVmrun = 0x0f01d8, kVmmcall = 0x0f01d9, kVmload = 0x0f01da,
                        kStgi = 0x0f01dc, kClgi = 0x0f01dd, kSkinit = 0x0f01de, kInvlpga = 0x0f01df;

/// The opcode in the manner of Action::opcode; 0: no SVM instruction.
std::uint32_t svm_opcode(const Instruction& in) noexcept {
    if (in.opcode != 0x0f01 || in.mod() != 3) return 0;
    const std::uint32_t opcode = in.opcode << 8 | in.modrm;
    return opcode >= kVmrun && opcode <= kInvlpga ? opcode : 0;
}

/// The core has left the side of the VMRUN at `rip`: its bytes are given without prefixes.
void record_failed_entry(Core& core, const EntryFailure& failure, std::uint64_t rip,
                         CodeMode mode) {
    sim::Code code;
    code.bits = mode.long64 ? 64 : mode.default32 ? 32 : 16;
    code.bytes = {0x0f, 0x01, 0xd8};
    code.size = 3;
    core.recorder().give_code(code);
    core.recorder().record(sim::EventKind::kVmEntryFailed, core.now(), core.subject(), failure.rule,
                           failure.field, failure.value, rip);
}

}  // namespace

Features announced_features(const Core& core) {  // APM 3 E.4.9
    const std::uint32_t word = core.native_cpuid(0x8000000a, 0).edx;
    Features features;
    features.nested_paging = sim::bit(word, 0);
    features.last_branches = sim::bit(word, 1);
    features.avic = sim::bit(word, 13);
    features.virtual_vmload = sim::bit(word, 15);
    features.virtual_gif = sim::bit(word, 16);
    features.execute_trap = sim::bit(word, 17);
    features.x2avic = sim::bit(word, 18);
    features.virtual_nmi = sim::bit(word, 25);
    return features;
}

Operation::Operation(Core& core)
    : core_(core),
      features_(announced_features(core)),
      guest_(0, core, *this, core.model().physical_address_bits) {}

// --- instructions ---

/// #UD or #GP(0) by a rule of spec/rules.h; true, as an instruction that has been dealt with.
bool Operation::refuse(std::uint8_t vector, std::uint32_t rule, std::uint64_t value) {
    core_.recorder().give_code(core_.fetched_code(sim::Code::kMost));
    core_.recorder().record(sim::EventKind::kInstructionRefused, core_.now(), core_.subject(), rule,
                            vector, value, core_.rip());
    core_.raise(vector);
    return true;
}

bool Operation::execute(const Instruction& in) {
    const std::uint32_t opcode = svm_opcode(in);
    if (opcode == 0) return false;
    if (opcode == kVmmcall) return vmmcall(in);
    // DEVIATION: no SKINIT: there is no secure loader nor a TPM to measure it.
    if (opcode == kSkinit) return refuse(kUD, 205, 0);
    if (!(core_.efer() & efer::kSVME)) return refuse(kUD, 201, core_.efer());
    if (!(core_.cr(0) & cr0::kPE)) return refuse(kUD, 202, core_.cr(0));
    if (core_.system_flags() & rflags::kVM) return refuse(kUD, 203, core_.system_flags());
    if (core_.cpl() != 0) return refuse(kGP, 211, core_.cpl());

    std::uint64_t rax = core_.gpr(engine::kRax);
    if (in.address_bits != 64) rax &= (std::uint64_t{1} << in.address_bits) - 1;
    Action action;
    action.kind = ActionKind::vmx_instruction;
    action.instruction_length = in.length;
    action.opcode = opcode;
    action.linear = rax;
    if (core_.exits(action)) return true;
    switch (opcode) {
        case kStgi:
        case kClgi:
            set_gif(opcode == kStgi);
            break;
        case kInvlpga:
            invlpga(rax, static_cast<std::uint32_t>(core_.gpr(engine::kRcx)));
            break;
        default:
            if (opcode != kVmrun && !translate_virtual(rax, in)) return true;
            if (!check_address(rax)) return true;
            if (opcode == kVmrun) {
                vmrun(in, rax);
                return true;
            }
            if (opcode == kVmload)
                vmload(core_, Vmcb(core_.ram(), rax));
            else
                vmsave(core_, Vmcb(core_.ram(), rax));
            break;
    }
    core_.complete_instruction(in.length);
    return true;
}

bool Operation::vmmcall(const Instruction& in) {
    Action action;
    action.kind = ActionKind::hypercall;
    action.instruction_length = in.length;
    if (core_.exits(action)) return true;
    return refuse(kUD, 204, 0);
}

/// rAX of VMRUN, VMLOAD and VMSAVE (APM 3). False: #GP(0) was raised.
bool Operation::check_address(std::uint64_t address) {
    if (address % kVmcbSize != 0) {
        refuse(kGP, 212, address);
        return false;
    }
    if (address >> core_.model().physical_address_bits) {
        refuse(kGP, 213, address);
        return false;
    }
    // DEVIATION: a VMCB where no memory answers is refused; hardware works with what it reads
    // there.
    if (!core_.ram().contains(address, kVmcbSize)) {
        refuse(kGP, 214, address);
        return false;
    }
    return true;
}

/// VMLOAD and VMSAVE of a guest to whom they are virtualized (APM 2 15.33.2): rAX is one of its
/// physical addresses. False: a nested page fault exited.
bool Operation::translate_virtual(std::uint64_t& address, const Instruction& in) {
    const std::uint64_t extensions =
        guest_.in_guest() ? guest_.vmcb().get(vmcb::VIRTUAL_EXTENSIONS) : 0;
    const mmu::SecondStage* stage = guest_.in_guest() ? guest_.second_stage() : nullptr;
    const bool virtualized = features_.virtual_vmload && stage != nullptr &&
                             virtual_extensions::VMLOAD_VMSAVE::test(extensions);
    if (!virtualized) return true;
    mmu::WalkSteps steps;
    const mmu::NestedRequest request{.access = mmu::Access::write, .linear_valid = false};
    const mmu::NestedTranslation at =
        mmu::translate_guest_physical(*stage, address, request, steps);
    if (at.fault.kind == mmu::NestedFaultKind::none) {
        address = at.system_physical;
        return true;
    }
    Action action;
    action.kind = ActionKind::nested_page_fault;
    action.instruction_length = in.length;
    action.fault = &at.fault;
    core_.exits(action);
    return false;
}

/// INVLPGA. The translations of one ASID but the host's are held, and its second stage's go as a
/// whole, as they may at any time.
void Operation::invlpga(std::uint64_t linear, std::uint32_t asid) {
    if (asid == 0) return core_.flush_host_tlb_page(linear);
    core_.nested_tlb().invalidate_all();
    if (asid == guest_.controls().asid) core_.flush_guest_tlb_page(linear);
}

// --- global interrupt flag ---

void Operation::set_gif(bool value) {
    if (guest_.in_guest() && guest_.has_virtual_gif()) return guest_.set_virtual_gif(value);
    gif_ = value;
    if (value) release_events();
}

/// GIF is 1: what was held back may come.
void Operation::release_events() {
    core_.poll_soon();
    // The processor around the core takes INITs.
    const apic::LocalApic* apic = core_.local_apic();
    if (apic != nullptr && apic->has_init_pending()) core_.request_stop();
}

InitOutcome Operation::on_init() {  // APM 2 15.28
    if (!gif_) return InitOutcome::held;
    Action action;
    action.kind = ActionKind::init;
    if (core_.exits(action)) return InitOutcome::held;
    if (!(vm_cr_ & kInitRedirection)) return InitOutcome::reset;
    Event event = Event::fault(kSX, kInitRedirected);
    event.has_error_code = true;
    core_.set_activity(ActivityState::active);
    core_.deliver(event);
    return InitOutcome::handled;
}

void Operation::reset(bool init) {
    gif_ = true;
    guest_.abandon();
    guest_has_branches_ = false;
    core_.set_guest_mode(nullptr);
    core_.set_optional_intercepts({});
    core_.invalidate_nested();
    if (init) return;
    vm_cr_ = hsave_ = key_ = 0;
    tsc_ratio_ = kTscRatioOne;
}

// --- world switch ---

Host Operation::surroundings() const {
    Host host;
    host.features = features_;
    host.interrupts = (core_.system_flags() & rflags::kIF) != 0;
    host.shares_core = true;
    host.paging = (core_.cr(0) & cr0::kPG) != 0;
    host.no_execute = (core_.efer() & efer::kNXE) != 0;
    host.smep = (core_.cr(4) & cr4::kSMEP) != 0;
    host.page_size_extensions = (core_.cr(4) & cr4::kPSE) != 0;
    if (!(core_.efer() & efer::kLMA))
        host.npt_mode = core_.cr(4) & cr4::kPAE ? mmu::NptMode::pae : mmu::NptMode::legacy;
    else if (core_.cr(4) & cr4::kLA57)
        host.npt_mode = mmu::NptMode::level5;
    host.tsc_ratio = tsc_ratio_;
    return host;
}

void Operation::vmrun(const Instruction& in, std::uint64_t address) {
    if (hsave_ == 0) {
        refuse(kGP, 215, hsave_);
        return;
    }
    const std::uint64_t rip = core_.rip();
    const CodeMode mode = core_.code_mode();
    std::uint64_t next = rip + in.length;
    if (!mode.long64) next &= 0xffffffff;
    host_ = capture_host(core_, next);
    guest_.attach(address);
    const Host host = surroundings();
    core_.set_interrupt_shadow(false);
    gif_ = true;
    core_.change_sides(engine::Transition::svm);
    if (!guest_.vmrun(host).entered()) {
        record_failed_entry(core_, guest_.last_entry().failure, rip, mode);
        return end_exit();
    }
    if (guest_.controls().tlb_control == tlb_control::kFlushAll) core_.flush_both_sides();
    swap_in_branches();
    core_.reload_pdptes();
    release_events();
}

/// LBR virtualization (APM 2 15.23): the guest has records of its own.
void Operation::swap_in_branches() {
    const Vmcb& vmcb = guest_.vmcb();
    guest_has_branches_ = features_.last_branches &&
                          virtual_extensions::LBR::test(vmcb.get(vmcb::VIRTUAL_EXTENSIONS));
    if (!guest_has_branches_) return;
    core_.last_branches() = {vmcb.get(vmcb::DBGCTL), vmcb.get(vmcb::BR_FROM), vmcb.get(vmcb::BR_TO),
                             vmcb.get(vmcb::LAST_EXCEPTION_FROM),
                             vmcb.get(vmcb::LAST_EXCEPTION_TO)};
}

void Operation::swap_out_branches() {
    if (!guest_has_branches_) return;
    const Vmcb& vmcb = guest_.vmcb();
    const LastBranches& branches = core_.last_branches();
    vmcb.set(vmcb::DBGCTL, branches.debug_control);
    vmcb.set(vmcb::BR_FROM, branches.from);
    vmcb.set(vmcb::BR_TO, branches.to);
    vmcb.set(vmcb::LAST_EXCEPTION_FROM, branches.exception_from);
    vmcb.set(vmcb::LAST_EXCEPTION_TO, branches.exception_to);
}

bool Operation::on_vm_exit(ExecutionCore&) {
    swap_out_branches();
    end_exit();
    return true;
}

/// The host's side of a #VMEXIT (APM 2 15.6).
void Operation::end_exit() {
    gif_ = false;
    core_.change_sides(engine::Transition::svm);
    // A page outside of memory holds no consistent state.
    if (!core_.ram().contains(hsave_, sim::kPageSize) || !load_host(core_, host_)) {
        core_.set_activity(ActivityState::shutdown);
        return;
    }
    if (guest_has_branches_) core_.last_branches() = host_.last_branches;
    guest_has_branches_ = false;
    if (host_.rflags & rflags::kTF) {  // the trap of the VMRUN itself
        Event trap = Event::fault(kDB);
        trap.address = std::uint64_t{1} << 14;  // DR6.BS
        core_.deliver(trap);
    }
}

}  // namespace hvsim::cpu::svm
