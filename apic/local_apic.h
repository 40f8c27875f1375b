#pragma once
// The local APIC of SDM 3A chapter 11: a logical processor's own one, and the one that a hypervisor
// presents to a virtual processor.
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "apic/apic_timer.h"
#include "apic/interrupt_message.h"
#include "apic/spec/local_apic_registers.h"
#include "apic/vector_set.h"
#include "sim/clocked.h"
#include "sim/statistics.h"

namespace hvsim::apic {

struct LocalApicConfig {
    std::uint32_t id = 0;  ///< x2APIC id; its low 8 bits are the xAPIC id after reset
    bool bootstrap_processor = false;
    bool x2apic = true;                     ///< CPUID.01H:ECX[21]
    bool tsc_deadline = true;               ///< CPUID.01H:ECX[24]
    bool eoi_broadcast_suppression = true;  ///< version register bit 24
    unsigned physical_address_bits = 46;
    std::uint64_t timer_hz = 200'000'000;  ///< of the timer's input, before the divider
    std::uint64_t tsc_hz = 2'000'000'000;
};

/// Local interrupt sources, in LVT order of the manual's figure 11-8.
enum class LvtEntry : std::uint8_t { cmci, timer, thermal, performance, lint0, lint1, error };
inline constexpr std::size_t kLvtEntries = 7;

enum class ApicMode : std::uint8_t { disabled, xapic, x2apic };

/// What became of a message that reached a local APIC.
enum class Acceptance : std::uint8_t {
    accepted,   ///< now pending where it was not before
    coalesced,  ///< was pending already
    dropped,    ///< APIC disabled, illegal vector, level deassertion or SIPI outside wait-for-SIPI
};

/// All that a local APIC remembers; saving and restoring it is copying it.
struct LocalApicState {
    std::uint64_t base = 0;  ///< IA32_APIC_BASE
    std::uint64_t icr = 0;   ///< in the layout of the current mode
    VectorSet irr, isr, tmr;
    VectorSet auto_eoi;  ///< pending vectors that leave no ISR bit when acknowledged
    std::array<InterruptCause, 256> causes{};  ///< of the latest request, by vector
    ApicTimerState timer;
    std::array<std::uint32_t, kLvtEntries> lvt{};  ///< by LvtEntry
    std::uint32_t xapic_id = 0;                    ///< register image, id in bits 31:24
    std::uint32_t tpr = 0;
    std::uint32_t ldr = 0;  ///< xAPIC register image; x2APIC derives its own
    std::uint32_t dfr = 0;
    std::uint32_t svr = 0;
    std::uint32_t esr = 0;         ///< as last latched by a write
    std::uint32_t esr_errors = 0;  ///< since the last write
    std::uint8_t nmis_pending = 0;
    std::uint8_t sipi_vector = 0;
    bool nmi_in_service = false;
    bool error_interrupt_armed = true;
    bool init_pending = false;
    bool sipi_pending = false;
    bool wait_for_sipi = false;
    bool smi_pending = false;
    bool doorbell_pending = false;
    bool ext_int_pending = false;      ///< by message; the LINT way is a level
    std::array<bool, 2> lint_level{};  ///< electrical level of LINT0, LINT1

    bool operator==(const LocalApicState&) const = default;
};

struct LocalApicStatistics {
    std::array<std::uint64_t, 256> accepted{};   ///< by vector: pending bits newly set
    std::array<std::uint64_t, 256> coalesced{};  ///< by vector: was pending already
    std::array<std::uint64_t, 256> acknowledged{};
    std::uint64_t dropped = 0;
    std::uint64_t spurious = 0;
    std::uint64_t eois = 0;
    std::uint64_t eoi_broadcasts = 0;
    std::uint64_t ipis_sent = 0;
    std::uint64_t nmis = 0;
    std::uint64_t timer_expirations = 0;
    std::uint64_t errors = 0;
};

/// All times are virtual time; a call's `now` is the caller's local time. The timer is brought up
/// to `now` before any register access.
class LocalApic final : public sim::Clocked {
  public:
    /// The APIC as after power-up. `fabric` carries IPIs to other processors, `eoi_sink` hears
    /// EOIs of level-triggered vectors; both outlive this object.
    LocalApic(const LocalApicConfig& config, InterruptFabric& fabric, EoiSink& eoi_sink);

    // --- Registers ---
    /// Physical address of the xAPIC window; meaningful while mode() is xapic.
    std::uint64_t base() const noexcept { return state_.base & ~std::uint64_t{0xfff}; }
    ApicMode mode() const noexcept;
    bool software_enabled() const noexcept { return spec::SvrEnable::test(state_.svr); }
    /// `offset` in the 4 KiB window, `size` in bytes. Answers all ones while mode() is not xapic.
    /// An access to no register sets "illegal register address" in ESR (SDM 3A 11.5.3).
    std::uint64_t mmio_read(std::uint32_t offset, unsigned size, sim::Time now);
    void mmio_write(std::uint32_t offset, unsigned size, std::uint64_t value, sim::Time now);
    /// MSRs IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800-0x8ff.
    static constexpr bool owns_msr(std::uint32_t msr) noexcept {
        return msr == spec::kMsrApicBase || msr == spec::kMsrTscDeadline ||
               (msr >= spec::kMsrX2apicFirst && msr <= spec::kMsrX2apicLast);
    }
    /// nullopt: #GP(0).
    std::optional<std::uint64_t> read_msr(std::uint32_t msr, sim::Time now);
    /// False: #GP(0), and nothing changed.
    [[nodiscard]] bool write_msr(std::uint32_t msr, std::uint64_t value, sim::Time now);
    /// The whole ICR in the current mode's layout (HV_X64_MSR_ICR, TLFS 10.2.1). False: #GP(0).
    [[nodiscard]] bool write_icr(std::uint64_t value, sim::Time now);
    std::uint64_t icr() const noexcept { return state_.icr; }

    // --- Priorities ---
    std::uint8_t tpr() const noexcept { return static_cast<std::uint8_t>(state_.tpr); }
    /// CR8 = TPR bits 7:4 (SDM 3A 11.8.6).
    void set_tpr(std::uint8_t value) noexcept { state_.tpr = value; }
    std::uint8_t ppr() const noexcept;
    std::uint8_t apr() const noexcept;
    std::optional<std::uint8_t> highest_requested() const noexcept { return state_.irr.highest(); }
    /// What last asked for the vector.
    InterruptCause cause(std::uint8_t vector) const noexcept { return state_.causes[vector]; }
    std::optional<std::uint8_t> isr_vector() const noexcept { return state_.isr.highest(); }

    // --- Delivery to this APIC ---
    /// A message addressed to this APIC (the sender resolved destinations). `auto_eoi`: when
    /// acknowledged the vector leaves no ISR bit (TLFS 11.4, SINTx.AutoEoi); the latest request
    /// of a vector decides.
    Acceptance accept(const InterruptMessage& message, sim::Time now, bool auto_eoi = false);
    /// Raises a local source other than timer and LINT pins.
    void trigger_lvt(LvtEntry entry, sim::Time now);
    /// Electrical level of LINT0 (`pin` 0) or LINT1 (1).
    void set_lint(unsigned pin, bool level, sim::Time now);
    /// True: `message` names this APIC by its destination fields (shorthands aside).
    bool is_destination(const InterruptMessage& message) const noexcept;

    // --- Delivery to the processor ---
    /// The vector that interrupts the processor now: above PPR's class (SDM 3A 11.8.3.1).
    std::optional<std::uint8_t> highest_pending() const noexcept;
    /// Interrupt acknowledge: IRR to ISR; the spurious vector when nothing is deliverable.
    std::uint8_t acknowledge(sim::Time now);
    /// End of the highest vector in service; nothing when none is.
    void eoi(sim::Time now);
    /// EOI assist (TLFS 10.3.5): true when the end of the vector in service does more than clear
    /// its ISR bit, because it is level-triggered or another vector waits in IRR.
    bool any_level_or_lower_pending() const noexcept;

    /// Whether something is on its way to the processor, or held back by its priority.
    bool asks_processor() const noexcept {
        return state_.irr.any() || state_.nmis_pending != 0 || state_.smi_pending ||
               ext_int_requested();
    }
    bool has_nmi_pending() const noexcept { return state_.nmis_pending != 0; }
    /// The processor takes an NMI: until nmi_unblocked() no more than one other is kept.
    bool take_nmi() noexcept;
    void nmi_unblocked() noexcept { state_.nmi_in_service = false; }
    bool has_smi_pending() const noexcept { return state_.smi_pending; }
    bool take_smi() noexcept;
    /// AMD: another processor has changed the virtual APIC of the guest that runs here.
    bool take_doorbell() noexcept { return std::exchange(state_.doorbell_pending, false); }
    void send_doorbell(std::uint32_t destination, sim::Time now);
    /// INTR for an 8259's vector: LINT0 or LINT1 in ExtINT mode, or a message.
    bool ext_int_requested() const noexcept;
    void take_ext_int() noexcept { state_.ext_int_pending = false; }

    // --- INIT and SIPI (SDM 3A 9.4.2, 11.4.7.3) ---
    bool has_init_pending() const noexcept { return state_.init_pending; }
    /// Takes the INIT latch; the processor resets itself and calls init_reset().
    bool take_init() noexcept;
    /// Registers as after INIT: mode, base and APIC id stay. Application processors wait for SIPI.
    void init_reset();
    /// Power-up or RESET.
    void reset();
    bool waits_for_sipi() const noexcept { return state_.wait_for_sipi; }
    void set_wait_for_sipi(bool wait) noexcept { state_.wait_for_sipi = wait; }
    bool has_sipi_pending() const noexcept { return state_.sipi_pending; }
    /// The start-up vector, start address = vector * 4096; ends waiting.
    std::optional<std::uint8_t> take_sipi() noexcept;

    // --- Time ---
    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;
    /// The TSC that IA32_TSC_DEADLINE compares with is ticks since time 0 plus `offset`.
    void set_tsc_offset(std::uint64_t offset, sim::Time now);

    // --- Identity, state, statistics ---
    std::uint32_t id() const noexcept { return config_.id; }
    std::uint8_t xapic_id() const noexcept {
        return static_cast<std::uint8_t>(state_.xapic_id >> 24);
    }
    bool is_bootstrap_processor() const noexcept {
        return spec::BaseBootstrapProcessor::test(state_.base);
    }
    static constexpr std::uint32_t x2apic_ldr(std::uint32_t id) noexcept {
        return (id >> 4) << 16 | 1u << (id & 15);  // SDM 3A 11.12.10.2
    }
    const LocalApicConfig& config() const noexcept { return config_; }
    LocalApicState state() const;
    void restore(const LocalApicState& state);
    const LocalApicStatistics& statistics() const noexcept { return statistics_; }
    /// Counters under `prefix` (with its dot); of the per-vector ones those that are not zero.
    void collect(sim::StatisticsSink& sink, std::string_view prefix) const;

  private:
    std::uint32_t read_register(const spec::RegisterDescription& row, unsigned slot, sim::Time now);
    void write_register(const spec::RegisterDescription& row, std::uint32_t value, sim::Time now);
    bool write_x2apic(const spec::RegisterDescription& row, std::uint64_t value, sim::Time now);
    std::uint64_t x2apic_reserved(const spec::RegisterDescription& row) const noexcept;
    bool write_base(std::uint64_t value);
    void write_lvt(LvtEntry entry, const spec::RegisterDescription& row, std::uint32_t value,
                   sim::Time now);
    void write_svr(std::uint32_t value);
    void write_esr();
    void send_ipi(std::uint64_t icr, sim::Time now);
    void self_ipi(std::uint8_t vector, sim::Time now);
    void reset_registers();

    Acceptance accept_vector(std::uint8_t vector, TriggerMode trigger, InterruptCause cause,
                             bool auto_eoi, sim::Time now);
    Acceptance latch_nmi() noexcept;
    Acceptance latch_sipi(std::uint8_t vector) noexcept;
    void deliver_local(LvtEntry entry, TriggerMode trigger, sim::Time now);
    void update_lint(unsigned pin, bool was_asserted, sim::Time now);
    bool lint_asserted(unsigned pin) const noexcept;
    void end_vector(std::uint8_t vector, sim::Time now);
    void raise_error(std::uint32_t errors, sim::Time now);
    std::uint32_t& lvt(LvtEntry entry) { return state_.lvt[static_cast<std::size_t>(entry)]; }
    std::uint32_t lvt(LvtEntry entry) const { return state_.lvt[static_cast<std::size_t>(entry)]; }

    LocalApicConfig config_;
    InterruptFabric& fabric_;
    EoiSink& eoi_sink_;
    ApicTimer timer_;
    LocalApicState state_;
    LocalApicStatistics statistics_;
};

}  // namespace hvsim::apic
