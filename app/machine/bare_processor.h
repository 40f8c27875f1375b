#pragma once
// A logical processor without a hypervisor: its core runs the boot software itself.
#include "app/machine/processor.h"
#include "cpu/core.h"

namespace hvsim::app {

class BareProcessor final : public Processor {
  public:
    BareProcessor(cpu::Core& core, apic::LocalApic& apic) : core_(core), apic_(apic) {}

    sim::Time now() const override { return running_ ? core_.now() : now_; }
    sim::Time wake_time() const override;
    void run(sim::Time until) override;
    void shorten(sim::Time until) override;

    bool watches_memory() const override { return idle_ && core_.waits_on_memory(); }
    void memory_written(sim::Time at) override;

    /// An interrupt message arrived at `at`.
    void notice(sim::Time at);
    bool shut_down() const noexcept { return shut_down_; }
    /// Waits with interrupts off, or for a SIPI: nothing but an NMI or INIT gets it on.
    bool stuck() const;

  private:
    /// INIT and SIPI (SDM 3A 9.4); false: the processor waits for one.
    bool take_signals();

    cpu::Core& core_;
    apic::LocalApic& apic_;
    sim::Time now_ = 0, until_ = 0, notice_ = sim::kNever;
    bool running_ = false, idle_ = false, shut_down_ = false;
};

}  // namespace hvsim::app
