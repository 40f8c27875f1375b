#pragma once
// What the virtualization extensions and the host software need of a core, whether an engine runs
// guest code in it or modelled software runs as native tasks.
#include <span>

#include "apic/local_apic.h"
#include "cpu/arch_state.h"
#include "cpu/events.h"
#include "cpu/models/model.h"
#include "sim/recorder.h"
#include "sim/timing.h"

namespace hvsim::cpu {

/// Why ExecutionCore::run returned.
enum class CoreStop {
    deadline,    ///< the time limit was reached
    halted,      ///< HLT (or wait-for-SIPI) and nothing to wake it yet
    left_guest,  ///< a VM exit after which the host software did not enter again
    shutdown,    ///< triple fault outside a guest
    requested,   ///< request_stop()
};

class ControlBlockWatch;

class ExecutionCore : public ArchState {
  public:
    /// Runs from local time `now` until `deadline`, or the first boundary after it.
    virtual CoreStop run(sim::Time now, sim::Time deadline) = 0;
    /// Sets the local time; only between runs.
    virtual void set_now(sim::Time now) noexcept = 0;
    /// Local time, exact inside exits and after run().
    virtual sim::Time now() const noexcept = 0;
    /// Adds what something cost to the local time.
    virtual void charge(sim::Duration cost) noexcept = 0;
    /// Brings the deadline of the current run forward.
    virtual void shorten_deadline(sim::Time deadline) noexcept = 0;
    virtual void request_stop() noexcept = 0;
    /// Something may have become pending: look at it at the next boundary.
    virtual void poll_soon() noexcept = 0;

    /// The core runs as a guest under `mode` (nullptr: outside a guest).
    virtual void set_guest_mode(GuestMode* mode) noexcept = 0;
    /// Delivers `event` through the guest's IDT at the next boundary (VM-entry injection).
    virtual void inject(const Event& event) = 0;
    virtual bool has_injection() const noexcept = 0;
    virtual const Event& injection() const noexcept = 0;
    virtual void cancel_injection() noexcept = 0;
    /// Executes the instruction at RIP with the page of the last nested page fault served by
    /// `handler` once the exit's handler has entered the guest again.
    virtual void assist(std::uint64_t guest_physical, engine::MmioHandler& handler) = 0;
    /// Drops cached translations of both stages.
    virtual void invalidate_nested() = 0;
    virtual void set_optional_intercepts(const engine::OptionalIntercepts& intercepts) = 0;

    /// Copies code bytes at RIP, as far as they can be fetched; how many. Without effect or cost.
    virtual std::size_t peek_code(std::span<std::uint8_t>) { return 0; }

    /// Goes on behind an instruction that was performed: RIP, shadow, single step.
    virtual void complete_instruction(unsigned length) = 0;

    virtual const Model& model() const noexcept = 0;
    /// At most `most` code bytes at RIP for the trace, as far as the engine has fetched them.
    /// Without any effect, not even on accessed bits; a core of modelled software has none.
    virtual sim::Code fetched_code(unsigned) { return {}; }

    /// Gives the trace the code of an exit at RIP, where it wants that; `length` 0: not known.
    void give_exit_code(unsigned length) {
        if (recorder().wants_code())
            recorder().give_code(fetched_code(length != 0 ? length : sim::Code::kMost));
    }

    /// Is shown control blocks at exits and failed entries; not owned; nullptr: nobody is.
    void set_watch(ControlBlockWatch* watch) noexcept { watch_ = watch; }
    ControlBlockWatch* watch() const noexcept { return watch_; }

    /// The local APIC of the processor that the core runs on.
    virtual apic::LocalApic* local_apic() noexcept = 0;
    virtual void set_local_apic(apic::LocalApic* apic) noexcept = 0;
    virtual sim::Subject& subject() noexcept = 0;
    virtual sim::Recorder& recorder() noexcept = 0;
    virtual const sim::TimingProfile& timing() const noexcept = 0;
    virtual sim::Ram& ram() noexcept = 0;
    virtual mmu::NestedTlb& nested_tlb() noexcept = 0;
    /// The time-stamp counter of the processor now (no guest offset).
    virtual std::uint64_t host_tsc() = 0;

  private:
    ControlBlockWatch* watch_ = nullptr;
};

/// The software that runs in VMX root operation, or on the host side of VMRUN: a hypervisor model.
class HostSoftware {
  public:
    virtual ~HostSoftware() = default;
    /// An exit is complete. True: the guest was entered again; false: it was not.
    virtual bool on_vm_exit(ExecutionCore& core) = 0;
};

}  // namespace hvsim::cpu
