#pragma once
// The advanced virtual interrupt controller of a running guest (APM 2 15.29): accesses to its APIC
// that the backing page serves, virtual interrupts, and IPIs to the other virtual processors.
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "cpu/execution_core.h"
#include "cpu/svm/spec/avic.h"
#include "cpu/svm/spec/vmcb.h"
#include "cpu/virtual_apic_page.h"

namespace hvsim::cpu::svm {

struct Controls;

/// What a #VMEXIT by the controller records.
struct AvicExit {
    ExitCode code = ExitCode::AVIC_NOACCEL;
    std::uint64_t info1 = 0, info2 = 0;
};

class Avic final : private engine::MmioHandler {
  public:
    /// `controls`: what the processor holds of the VMCB's control area.
    Avic(ExecutionCore& core, Controls& controls) : core_(core), controls_(controls) {}

    /// VMRUN: the controller is on (`x2apic`: its registers are MSRs), or not.
    void start(bool enabled, bool x2apic, unsigned physical_bits);
    bool enabled() const noexcept { return enabled_; }

    // --- registers as memory ---
    bool is_register_page(std::uint64_t guest_physical) const noexcept;
    /// Who serves an access at `offset`; nullptr: it exits.
    engine::MmioHandler* serve(std::uint32_t offset, mmu::Access access);
    static AvicExit no_acceleration(std::uint32_t offset, bool write) noexcept;

    // --- registers as MSRs ---
    bool owns_msr(std::uint32_t msr) const noexcept {
        return enabled_ && x2apic_ && msr >= 0x800 && msr <= 0x8ff;
    }
    enum class MsrOutcome { done, general_protection, exit };
    MsrOutcome read_msr(std::uint32_t msr, std::uint64_t& value) const;
    MsrOutcome write_msr(std::uint32_t msr, std::uint64_t value);

    // --- priorities and interrupts ---
    /// MOV to CR8: V_TPR and the page's TPR (15.29.3.1).
    void write_cr8(std::uint64_t value);
    /// A vector in IRR passed the processor's priority when that was last looked at: by VMRUN, at a
    /// doorbell, by the guest's EOI, TPR or IPI to itself (15.29.8.3).
    bool interrupt_pending() const noexcept { return pending_; }
    /// Takes it into service; none, where the page has changed meanwhile.
    std::optional<std::uint8_t> take_interrupt();
    void take_doorbell() { evaluate(); }

    // --- exits that come behind the instruction ---
    bool exit_due() const noexcept { return exit_due_; }
    AvicExit take_exit() noexcept {
        exit_due_ = false;
        return exit_;
    }
    void drop_exit() noexcept { exit_due_ = false; }

  private:
    std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override;
    void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override;
    VirtualApicPage page() const;
    void exit_behind(const AvicExit& exit);
    /// What a write does beyond reaching the page.
    void written(std::uint32_t offset, std::uint32_t value);
    void write_tpr(std::uint32_t value);
    void end_interrupt();
    void update_priority();
    void evaluate();
    // avic_ipi.cpp
    struct Targets {
        std::array<std::uint32_t, 16> ids{}, indices{};  ///< guest ids, and the tables' indices
        std::size_t count = 0;
        void add(std::uint32_t id, std::uint32_t index) {
            ids[count] = id;
            indices[count++] = index;
        }
    };
    std::uint32_t table_entries() const noexcept;
    std::uint64_t physical_entry(std::uint32_t index) const;
    bool points_inside(std::uint64_t entry) const noexcept;
    void send_ipi(std::uint32_t low, std::uint32_t high);
    bool logical_targets(std::uint32_t destination, Targets& targets);
    bool logical_target(std::uint32_t index, Targets& targets);
    void broadcast(unsigned vector, bool to_itself);
    bool deliver(std::uint64_t entry, unsigned vector);
    void fail_ipi(avic::IpiFailure why, std::uint32_t index = 0);

    ExecutionCore& core_;
    Controls& controls_;
    bool enabled_ = false, x2apic_ = false;
    unsigned physical_bits_ = 48;
    std::uint64_t command_ = 0;  ///< of the IPI that is being sent, as in ICR
    bool pending_ = false, exit_due_ = false;
    AvicExit exit_;
};

}  // namespace hvsim::cpu::svm
