#include "cpu/native_core.h"

#include <algorithm>
#include <cstring>

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "sim/error.h"

namespace hvsim::cpu {
namespace {

constexpr std::array<std::uint32_t, 11> kNativeMsrs{
    msr::kStar,       msr::kLstar,       msr::kCstar,        msr::kFmask,
    msr::kFsBase,     msr::kGsBase,      msr::kKernelGsBase, msr::kTscAux,
    msr::kSysenterCs, msr::kSysenterEsp, msr::kSysenterEip};

std::size_t msr_index(std::uint32_t number) {
    const auto found = std::find(kNativeMsrs.begin(), kNativeMsrs.end(), number);
    SIM_ASSERT(found != kNativeMsrs.end());
    return static_cast<std::size_t>(found - kNativeMsrs.begin());
}

}  // namespace

NativeCore::NativeCore(sim::Ram& ram, Bus& bus, const sim::TimingProfile& timing,
                       sim::Recorder& recorder, const NativeCoreConfig& config)
    : ram_(ram),
      bus_(bus),
      timing_(timing),
      recorder_(recorder),
      config_(config),
      subject_(config.subject),
      pat_(kPatReset) {
    // The software is 64-bit code with flat segments and interrupts on.
    cr_[0] = cr0::kPE | cr0::kPG | cr0::kNE | cr0::kET | cr0::kWP;
    cr_[4] = cr4::kPAE | (config.model->vendor == Vendor::intel ? cr4::kVMXE : 0);
    efer_ = efer::kLME | efer::kLMA | efer::kNXE | efer::kSCE;
    const Segment data{0x18, 0xffffffff, 0, 0xc093};
    segments_.fill(data);
    segments_[static_cast<unsigned>(SegmentName::cs)] = {0x10, 0xffffffff, 0, 0xa09b};
    segments_[static_cast<unsigned>(SegmentName::tr)] = {0x20, 0x67, 0, 0x8b};
    segments_[static_cast<unsigned>(SegmentName::ldtr)] = {
        0, 0, 0, static_cast<std::uint32_t>(ar::UNUSABLE::kMask)};
    dr_[6] = 0xffff0ff0;
    dr_[7] = 0x400;
}

NativeCore::~NativeCore() = default;

std::uint64_t NativeCore::native_msr(std::uint32_t number) const {
    return msrs_[msr_index(number)];
}
void NativeCore::set_native_msr(std::uint32_t number, std::uint64_t value) {
    msrs_[msr_index(number)] = value;
}

std::uint64_t NativeCore::host_tsc() {
    return sim::ticks_at(now_, timing_.clock_tsc_hz);
}

void NativeCore::shorten_deadline(sim::Time deadline) noexcept {
    deadline_ = std::min(deadline_, deadline);
}

void NativeCore::inject(const Event& event) {
    injection_ = event;
    injection_pending_ = true;
}

void NativeCore::assist(std::uint64_t, engine::MmioHandler&) {
    SIM_ASSERT(false && "native software has no instructions to assist");
}

bool NativeCore::exits(const Action& action) {
    if (guest_ == nullptr || !guest_->intercepts(action)) return false;
    if (!guest_->exit(action, nullptr)) left_guest_ = true;
    return true;
}

/// An instruction in the middle of a step. A step runs to completion: where the hypervisor gave the
/// processor to another virtual processor after the exit, the step still ends first.
bool NativeCore::exit_instruction(const Action& action) {
    GuestMode* mode = guest_ != nullptr ? guest_ : last_guest_;
    SIM_ASSERT(mode != nullptr && mode->intercepts(action));
    const std::uint64_t before = rip_;
    if (!mode->exit(action, nullptr)) left_guest_ = true;
    return rip_ != before;
}

std::uint64_t NativeCore::hypercall(std::uint64_t input, std::uint64_t rdx, std::uint64_t r8) {
    Action action;
    action.kind = ActionKind::hypercall;
    action.instruction_length = 3;
    gpr_[engine::kRcx] = input;
    gpr_[engine::kRdx] = rdx;
    gpr_[engine::kR8] = r8;
    for (unsigned tries = 0; !exit_instruction(action); ++tries) {
        // #UD: the hypercall page is not enabled; a bug of the software.
        SIM_ASSERT(!injection_pending_ || injection_.type == EventType::external_interrupt);
        SIM_ASSERT(tries < 100'000);
    }
    return gpr_[engine::kRax];
}

bool NativeCore::write_msr(std::uint32_t number, std::uint64_t value) {
    Action action;
    action.kind = ActionKind::wrmsr;
    action.instruction_length = 2;
    action.msr = number;
    action.value = value;
    gpr_[engine::kRcx] = number;
    gpr_[engine::kRax] = value & 0xffffffff;
    gpr_[engine::kRdx] = value >> 32;
    if (exit_instruction(action)) return true;
    injection_pending_ = false;  // #GP
    return false;
}

std::optional<std::uint64_t> NativeCore::read_msr(std::uint32_t number) {
    Action action;
    action.kind = ActionKind::rdmsr;
    action.instruction_length = 2;
    action.msr = number;
    gpr_[engine::kRcx] = number;
    if (exit_instruction(action))
        return (gpr_[engine::kRax] & 0xffffffff) | gpr_[engine::kRdx] << 32;
    injection_pending_ = false;  // #GP
    return std::nullopt;
}

bool NativeCore::process_one_event() {
    if (injection_pending_) {
        injection_pending_ = false;
        activity_ = ActivityState::active;
        now_ += timing_.interrupt_delivery;
        if (injection_.type == EventType::external_interrupt)
            now_ += program_->interrupt(*this, injection_.vector, now_);
        return true;
    }
    if (guest_ == nullptr) return false;
    Action action;
    if (apic_ != nullptr && guest_->exits_on_interrupt()) {
        if (apic_->next_deadline() <= now_) apic_->advance_to(now_);
        if (apic_->has_nmi_pending()) {
            action.kind = ActionKind::nmi;
            return exits(action);
        }
        if (apic_->highest_pending()) {
            action.kind = ActionKind::external_interrupt;
            return exits(action);
        }
    }
    if (guest_->wants_interrupt_window() && (rflags_ & rflags::kIF)) {
        action.kind = ActionKind::interrupt_window;
        return exits(action);
    }
    return false;
}

CoreStop NativeCore::run(sim::Time now, sim::Time deadline) {
    SIM_ASSERT(program_ != nullptr);
    now_ = now;
    deadline_ = deadline;
    stop_requested_ = left_guest_ = false;
    for (;;) {
        while (!stop_requested_ && !left_guest_ && process_one_event()) {
        }
        if (left_guest_) return CoreStop::left_guest;
        if (stop_requested_) return CoreStop::requested;
        if (activity_ != ActivityState::active) return CoreStop::halted;
        if (now_ >= deadline_) return CoreStop::deadline;
        const NativeStep step = program_->step(*this, now_);
        now_ += step.cost;
        Action action;
        switch (step.end) {
            case NativeStep::End::more:
                break;
            case NativeStep::End::idle:
                action.kind = ActionKind::hlt;
                action.instruction_length = 1;
                if (!exits(action)) activity_ = ActivityState::hlt;
                break;
        }
    }
}

bool NativeCore::translate(std::uint64_t gpa, mmu::Access access, std::uint64_t& system) {
    const mmu::SecondStage* stage = guest_ != nullptr ? guest_->second_stage() : nullptr;
    if (stage == nullptr) {
        system = gpa;
        return true;
    }
    mmu::WalkSteps steps;
    const mmu::NestedTranslation result =
        mmu::translate_guest_physical(*stage, gpa, {access, false, true, false}, steps);
    if (result.fault.kind != mmu::NestedFaultKind::none) return false;
    system = result.system_physical;
    return true;
}

bool NativeCore::read_memory(std::uint64_t gpa, std::span<std::uint8_t> out) {
    while (!out.empty()) {
        const std::size_t part = std::min<std::size_t>(out.size(), 4096 - (gpa & 0xfff));
        std::uint64_t system = 0;
        if (!translate(gpa, mmu::Access::read, system) || !ram_.read_bytes(system, out.first(part)))
            return false;
        gpa += part;
        out = out.subspan(part);
    }
    return true;
}

bool NativeCore::write_memory(std::uint64_t gpa, std::span<const std::uint8_t> in) {
    while (!in.empty()) {
        const std::size_t part = std::min<std::size_t>(in.size(), 4096 - (gpa & 0xfff));
        std::uint64_t system = 0;
        if (!translate(gpa, mmu::Access::write, system) ||
            !ram_.write_bytes(system, in.first(part)))
            return false;
        gpa += part;
        in = in.subspan(part);
    }
    return true;
}

std::uint64_t NativeCore::read_device(std::uint64_t gpa, unsigned size) {
    std::uint64_t system = 0;
    if (!translate(gpa, mmu::Access::read, system)) return ~std::uint64_t{0} >> (64 - 8 * size);
    sim::Duration delay = 0;
    const std::uint64_t value = bus_.read_memory(system, size, now_, delay);
    now_ += delay;
    return value;
}

void NativeCore::write_device(std::uint64_t gpa, unsigned size, std::uint64_t value) {
    std::uint64_t system = 0;
    if (!translate(gpa, mmu::Access::write, system)) return;
    sim::Duration delay = 0;
    bus_.write_memory(system, size, value, now_, delay);
    now_ += delay;
}

}  // namespace hvsim::cpu
