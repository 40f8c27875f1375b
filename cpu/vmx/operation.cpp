#include "cpu/vmx/operation.h"

#include "cpu/descriptor.h"
#include "cpu/instructions.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/capabilities.h"

namespace hvsim::cpu::vmx {
namespace {

constexpr std::uint64_t kFeatureLock = 1u << 0, kFeatureOutsideSmx = 1u << 2;
constexpr std::uint64_t kStatusFlags = 0x8d5;  // CF, PF, AF, ZF, SF, OF
constexpr std::uint64_t kZF = 1u << 6;

}  // namespace

Operation::Operation(Core& core) : core_(core) {}

Operation::Name Operation::name_of(const Instruction& in) noexcept {
    const bool prefixed = in.operand_prefix || in.rep || in.repne;
    if (in.lock) return Name::none;
    switch (in.opcode) {
        case 0x0f01:
            if (prefixed) return Name::none;
            switch (in.modrm) {
                case 0xc1:
                    return Name::vmcall;
                case 0xc2:
                    return Name::vmlaunch;
                case 0xc3:
                    return Name::vmresume;
                case 0xc4:
                    return Name::vmxoff;
                case 0xd4:
                    return Name::vmfunc;
                default:
                    return Name::none;
            }
        case 0x0f78:
            return prefixed ? Name::none : Name::vmread;
        case 0x0f79:
            return prefixed ? Name::none : Name::vmwrite;
        case 0x0f3880:
        case 0x0f3881:
            if (!in.memory || !in.operand_prefix || in.rep || in.repne) return Name::none;
            return in.opcode == 0x0f3880 ? Name::invept : Name::invvpid;
        case 0x0fc7:
            if (!in.memory || in.repne) return Name::none;
            if (in.reg_field() == 7) return prefixed ? Name::none : Name::vmptrst;
            if (in.reg_field() != 6) return Name::none;
            if (in.rep) return Name::vmxon;
            return in.operand_prefix ? Name::vmclear : Name::vmptrld;
        default:
            return Name::none;
    }
}

/// Opcode with ModRM or prefix, as Action::opcode and the trace have it.
std::uint32_t Operation::opcode_of(Name name) noexcept {
    switch (name) {
        case Name::vmcall:
            return 0x0f01c1;
        case Name::vmlaunch:
            return 0x0f01c2;
        case Name::vmresume:
            return 0x0f01c3;
        case Name::vmxoff:
            return 0x0f01c4;
        case Name::vmfunc:
            return 0x0f01d4;
        case Name::vmread:
            return 0x0f78;
        case Name::vmwrite:
            return 0x0f79;
        case Name::invept:
            return 0x0f3880;
        case Name::invvpid:
            return 0x0f3881;
        case Name::vmptrld:
            return 0x0fc7;
        case Name::vmclear:
            return 0x660fc7;
        case Name::vmxon:
            return 0xf30fc7;
        case Name::vmptrst:
            return 0x0fc707;
        case Name::none:
            break;
    }
    return 0;
}

/// The rule that makes the instruction undefined as things are.
Operation::Finding Operation::undefined_by(Name name) const {
    if (name == Name::vmxon) {
        if (!(core_.cr(4) & cr4::kVMXE)) return {501, core_.cr(4)};
    } else if (!on_) {
        return {502, 0};
    }
    if (name == Name::vmcall && in_guest()) return {};
    if (name == Name::vmfunc) {
        constexpr std::uint64_t kFunctions = 64;  // SDM 3C 26.5.6.2
        const std::uint64_t function = core_.gpr(engine::kRax) & 0xffffffff;
        if (!in_guest()) return {506, 0};
        if (!current_->uses(secondary::kVmFunctions)) return {507, current_->secondary_controls()};
        return function >= kFunctions ? Finding{508, function} : Finding{};
    }
    if (!(core_.cr(0) & cr0::kPE)) return {503, core_.cr(0)};
    if (core_.system_flags() & rflags::kVM) return {504, core_.system_flags()};
    if ((core_.efer() & efer::kLMA) && !core_.code_mode().long64)
        return {505, core_.segment(SegmentName::cs).access_rights};
    return {};
}

bool Operation::execute(const Instruction& instruction) {
    const Name name = name_of(instruction);
    if (name == Name::none) return false;
    if (const Finding finding = undefined_by(name); finding.rule != 0) {
        record_refusal(kUD, finding);
        return false;
    }
    const Instruction in = instruction;
    if (in_guest()) {
        if (exits(name, in)) return true;
    }
    if (name == Name::vmfunc) return core_.complete_instruction(in.length), true;
    if (core_.cpl() != 0) return refuse({511, core_.cpl()}), true;
    perform(name, in);
    return true;
}

bool Operation::exits(Name name, const Instruction& in) {
    if ((name == Name::vmread || name == Name::vmwrite) && shadowed(name, in)) return false;
    Action action;
    action.kind = name == Name::vmcall ? ActionKind::hypercall : ActionKind::vmx_instruction;
    action.instruction_length = in.length;
    action.opcode = opcode_of(name);
    action.decoded = &in;
    return core_.exits(action);
}

void Operation::perform(Name name, const Instruction& in) {
    switch (name) {
        case Name::vmxon:
            return vmxon(in);
        case Name::vmxoff:
            return vmxoff(in);
        case Name::vmlaunch:
            return enter(in, true);
        case Name::vmresume:
            return enter(in, false);
        case Name::vmclear:
            return vmclear(in);
        case Name::vmptrld:
            return vmptrld(in);
        case Name::vmptrst:
            return vmptrst(in);
        case Name::vmread:
            return vmread(in);
        case Name::vmwrite:
            return vmwrite(in);
        case Name::invept:
            return invept(in);
        case Name::invvpid:
            return invvpid(in);
        // SDM 3C 34.15.2: there is no SMM-transfer monitor to call.
        case Name::vmcall:
            return fail(in, InstructionError::vmcall_in_root, {531, 1});
        case Name::vmfunc:
        case Name::none:
            return;
    }
}

// --- outcomes (SDM 3C 31.2) ---

void Operation::set_result(std::uint64_t flags) {
    const std::uint64_t old = core_.rflags(), result = (old & ~kStatusFlags) | flags;
    if (result != old) core_.set_rflags(result);
}

void Operation::succeed(const Instruction& in) {
    set_result(0);
    core_.complete_instruction(in.length);
}

void Operation::record_failure(InstructionError error, Finding finding) {
    if (finding.rule == 0) return;  // an entry's rule, which has an event of its own
    core_.recorder().give_code(core_.fetched_code(sim::Code::kMost));
    core_.recorder().record(sim::EventKind::kVmxInstructionFailed, core_.now(), core_.subject(),
                            finding.rule, static_cast<std::uint64_t>(error), finding.value,
                            core_.rip());
}

void Operation::record_refusal(std::uint8_t vector, Finding finding) {
    core_.recorder().give_code(core_.fetched_code(sim::Code::kMost));
    core_.recorder().record(sim::EventKind::kInstructionRefused, core_.now(), core_.subject(),
                            finding.rule, vector, finding.value, core_.rip());
}

/// #GP(0).
void Operation::refuse(Finding finding) {
    record_refusal(kGP, finding);
    core_.raise(kGP);
}

void Operation::fail_invalid(const Instruction& in, Finding finding) {
    record_failure(InstructionError::none, finding);
    set_result(rflags::kCF);
    core_.complete_instruction(in.length);
}

void Operation::fail(const Instruction& in, InstructionError error, Finding finding) {
    if (!current_) return fail_invalid(in, finding);
    record_failure(error, finding);
    current_->set_instruction_error(error);
    set_result(kZF);
    core_.complete_instruction(in.length);
}

// --- pointers ---

bool Operation::is_region_address(std::uint64_t address) const noexcept {
    return (address & 0xfff) == 0 && address >> core_.model().physical_address_bits == 0;
}

bool Operation::read_pointer(const Instruction& in, std::uint64_t& value) {
    Instructions instructions(core_);
    return instructions.read_operand(in, instructions.operand_linear(in),
                                     reinterpret_cast<std::uint8_t*>(&value), sizeof value);
}

Operation::Finding Operation::keeps_from_operation() const {
    const std::uint64_t cr0 = core_.cr(0), cr4 = core_.cr(4);
    const std::uint64_t feature = core_.msrs().feature_control();
    if ((cr0 & kCr0Fixed0) != kCr0Fixed0 || (cr0 & ~kCr0Fixed1) != 0) return {512, cr0};
    if ((cr4 & kCr4Fixed0) != kCr4Fixed0 || (cr4 & ~cr4_fixed1(core_.model())) != 0)
        return {513, cr4};
    if (!(feature & kFeatureLock)) return {514, feature};
    if (!(feature & kFeatureOutsideSmx)) return {515, feature};
    return {};
}

void Operation::vmxon(const Instruction& in) {
    if (on_) return fail(in, InstructionError::vmxon_in_root, {542, 1});
    if (const Finding finding = keeps_from_operation(); finding.rule != 0) return refuse(finding);
    std::uint64_t pointer = 0;
    if (!read_pointer(in, pointer)) return;
    if (!is_region_address(pointer)) return fail_invalid(in, {521, pointer});
    const std::uint32_t revision = Region(core_.ram(), pointer).revision_word();
    if (revision != kRevision) return fail_invalid(in, {522, revision});
    on_ = true;
    vmxon_pointer_ = pointer;
    current_.reset();
    succeed(in);
}

void Operation::vmxoff(const Instruction& in) {
    on_ = false;
    vmxon_pointer_ = kNoPointer;
    current_.reset();
    // An INIT that was blocked is delivered now.
    if (core_.local_apic() != nullptr && core_.local_apic()->has_init_pending())
        core_.request_stop();
    succeed(in);
}

void Operation::vmclear(const Instruction& in) {
    std::uint64_t pointer = 0;
    if (!read_pointer(in, pointer)) return;
    if (!is_region_address(pointer))
        return fail(in, InstructionError::vmclear_invalid_address, {532, pointer});
    if (pointer == vmxon_pointer_)
        return fail(in, InstructionError::vmclear_vmxon_pointer, {533, pointer});
    Region(core_.ram(), pointer).set_launched(false);
    if (pointer == current_pointer()) current_.reset();
    succeed(in);
}

void Operation::make_current(std::uint64_t address) {
    if (address == current_pointer()) return;
    current_ = std::make_unique<Guest>(address, core_, static_cast<HostSoftware&>(*this));
    current_->attach(core_, side_);
}

void Operation::vmptrld(const Instruction& in) {
    std::uint64_t pointer = 0;
    if (!read_pointer(in, pointer)) return;
    if (!is_region_address(pointer))
        return fail(in, InstructionError::vmptrld_invalid_address, {536, pointer});
    if (pointer == vmxon_pointer_)
        return fail(in, InstructionError::vmptrld_vmxon_pointer, {537, pointer});
    const Region region(core_.ram(), pointer);
    const std::uint32_t word = region.revision_word();
    if (!core_.ram().contains(pointer, kRegionSize) ||
        (word & ~Region::kShadowIndicator) != kRevision)
        return fail(in, InstructionError::vmptrld_wrong_revision, {538, word});
    const bool shadowing = (kSecondaryControls.may_be_one & secondary::kVmcsShadowing) != 0;
    if (region.is_shadow() && !shadowing)
        return fail(in, InstructionError::vmptrld_wrong_revision, {539, word});
    make_current(pointer);
    succeed(in);
}

void Operation::vmptrst(const Instruction& in) {
    std::uint64_t pointer = current_pointer();
    Instructions instructions(core_);
    if (!instructions.write_operand(instructions.operand_linear(in),
                                    reinterpret_cast<std::uint8_t*>(&pointer), sizeof pointer))
        return;
    succeed(in);
}

// --- entry and exit ---

void Operation::enter(const Instruction& in, bool launch) {
    if (!current_) return fail_invalid(in, {523, kNoPointer});
    const Region region(core_.ram(), current_pointer());
    if (region.is_shadow()) return fail_invalid(in, {524, region.revision_word()});
    // The shadow at an instruction that was preceded by STI or MOV SS; STI needs RFLAGS.IF.
    if (core_.interrupt_shadow() && !(core_.system_flags() & rflags::kIF))
        return fail(in, InstructionError::entry_blocked_by_mov_ss, {543, 1});
    const EntryResult result = current_->enter(launch);
    if (result.error == InstructionError::vmlaunch_not_clear)
        fail(in, result.error, {534, 1});
    else if (result.error == InstructionError::vmresume_not_launched)
        fail(in, result.error, {535, 0});
    else if (result.error != InstructionError::none)
        fail(in, result.error, {});
}

bool Operation::on_vm_exit(ExecutionCore&) {
    return true;
}

// --- signals and registers ---

InitOutcome Operation::on_init() {
    if (!on_) return InitOutcome::reset;
    if (!in_guest()) return InitOutcome::held;  // SDM 3C 24.8
    Action action;
    action.kind = ActionKind::init;
    core_.exits(action);
    return InitOutcome::handled;
}

bool Operation::on_sipi(std::uint8_t vector) {
    if (!in_guest()) return false;
    Action action;
    action.kind = ActionKind::sipi;
    action.number = vector;
    core_.exits(action);
    return true;
}

void Operation::reset(bool) {
    side_.mappings = {};
    on_ = false;
    vmxon_pointer_ = kNoPointer;
    current_.reset();
}

bool Operation::allows_cr(unsigned index, std::uint64_t value) const noexcept {  // SDM 3C 24.8
    if (!on_) return true;
    if (index == 4)
        return (value & kCr4Fixed0) == kCr4Fixed0 && (value & ~cr4_fixed1(core_.model())) == 0;
    std::uint64_t fixed = kCr0Fixed0;
    if (in_guest() && current_->uses(secondary::kUnrestrictedGuest))
        fixed &= ~(cr0::kPE | cr0::kPG);
    return (value & fixed) == fixed && (value & ~kCr0Fixed1) == 0;
}

}  // namespace hvsim::cpu::vmx
