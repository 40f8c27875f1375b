#pragma once
// A virtual processor as the TLFS describes it: virtual local APIC, SynIC, synthetic timers, MSRs,
// CPUID, run state and pending events. Its registers are behind VpContext.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "apic/local_apic.h"
#include "hypervisor-model/host_interfaces.h"
#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/privileges.h"
#include "hypervisor-model/spec/status.h"
#include "hypervisor-model/synic.h"
#include "hypervisor-model/synthetic_timer.h"
#include "hypervisor-model/vp_context.h"
#include "hypervisor-model/vp_msr_state.h"
#include "sim/recorder.h"
#include "sim/time.h"

namespace hvsim::hv {

class Hypervisor;

/// What the run loop has to do after an MSR access, besides going on.
enum class VpAction : std::uint8_t {
    none,
    halt_until_interrupt,  ///< GUEST_IDLE: the processor is idle() now
    reset_partition,       ///< RESET
    crash_notified,        ///< CRASH_CTL: Partition::crash() has the parameters
};

struct MsrResult {
    bool gp = false;         ///< the guest gets #GP(0)
    bool intercept = false;  ///< the parent wants to answer: send_msr_intercept()
    std::uint64_t value = 0;
    VpAction action = VpAction::none;

    static MsrResult fault() { return {true, false, 0, VpAction::none}; }
    static MsrResult of(std::uint64_t v) { return {false, false, v, VpAction::none}; }
    bool operator==(const MsrResult&) const = default;
};

/// System pages of a virtual processor that the hypervisor lays over guest pages.
struct VpPages {
    std::uint64_t simp = 0, siefp = 0, assist = 0, object = 0;  ///< system page numbers
};

class VirtualProcessor final : public SynicClient {
  public:
    VirtualProcessor(Hypervisor& hypervisor, Partition& partition, VpIndex index,
                     std::uint32_t apic_id, const VpPages& pages, sim::Time created);
    ~VirtualProcessor() override;
    VirtualProcessor(const VirtualProcessor&) = delete;
    VirtualProcessor& operator=(const VirtualProcessor&) = delete;

    VpIndex index() const noexcept { return index_; }
    std::uint32_t apic_id() const noexcept { return apic_.id(); }
    Partition& partition() const noexcept { return partition_; }
    Hypervisor& hypervisor() const noexcept { return hypervisor_; }
    sim::Subject subject() const noexcept;
    /// The logical processor that it runs on, for its events.
    void set_home(std::uint16_t processor) noexcept { home_ = processor; }
    VpContext& context() const;
    bool has_context() const noexcept { return context_ != nullptr; }
    void attach(VpContext& context) noexcept { context_ = &context; }
    const VpPages& pages() const noexcept { return pages_; }

    apic::LocalApic& apic() noexcept { return apic_; }
    const apic::LocalApic& apic() const noexcept { return apic_; }
    Synic& synic() noexcept { return synic_; }
    const Synic& synic() const noexcept { return synic_; }
    SyntheticTimer& timer(unsigned index) { return timers_.at(index); }
    const SyntheticTimer& timer(unsigned index) const { return timers_.at(index); }
    VpMsrState& msrs() noexcept { return msrs_; }
    const VpMsrState& msrs() const noexcept { return msrs_; }

    // --- Run state ---
    bool explicit_suspend() const noexcept { return explicit_suspend_; }
    void set_explicit_suspend(bool value, sim::Time now);
    bool intercept_suspend() const noexcept { return intercept_suspend_; }
    void set_intercept_suspend(bool value, sim::Time now);
    bool waits_for_sipi() const noexcept { return apic_.waits_for_sipi(); }
    /// Idle by the GUEST_IDLE MSR: any pending interrupt ends it, also with RFLAGS.IF clear.
    bool idle() const noexcept { return idle_; }
    void set_idle(bool idle) noexcept { idle_ = idle; }
    /// The virtual processor has something to execute or an event to take at `now`. A halted one
    /// counts as runnable when an event that ends the halt is pending; the run loop ends the halt.
    bool runnable(sim::Time now) const;
    /// An event that ends HLT (or idle) is pending.
    bool has_wake_event() const;
    /// Ends HLT and idle if has_wake_event().
    void leave_halt();

    // --- Time ---
    /// Earliest expiry of APIC timer or synthetic timer; kNever if none.
    sim::Time next_deadline() const;
    /// Fires everything that is due at or before `now`.
    void advance_to(sim::Time now);
    void add_run_time(sim::Duration time) noexcept { run_time_ += time; }
    sim::Duration run_time() const noexcept { return run_time_; }
    /// Offset of this processor's TSC from the host's, modulo 2^64.
    std::uint64_t tsc_offset() const;
    std::uint64_t tsc(sim::Time now) const;
    void write_tsc(std::uint64_t value, sim::Time now);
    /// The partition's clock was stopped, restarted or moved.
    void clock_changed(sim::Time now);

    // --- Interrupts ---
    /// The vector to inject now: above the processor priority. Says nothing of RFLAGS.IF or
    /// shadows.
    std::optional<std::uint8_t> pending_vector() const { return apic_.highest_pending(); }
    /// IRR to ISR; vectors of AutoEOI SINTs leave no ISR bit. Returns what to inject.
    std::uint8_t accept_interrupt(sim::Time now);
    bool nmi_pending() const noexcept { return apic_.has_nmi_pending(); }
    bool take_nmi() noexcept { return apic_.take_nmi(); }
    void nmi_unblocked() noexcept { apic_.nmi_unblocked(); }
    bool init_pending() const noexcept { return apic_.has_init_pending(); }
    bool sipi_pending() const noexcept { return apic_.has_sipi_pending(); }
    std::optional<std::uint8_t> take_sipi() noexcept { return apic_.take_sipi(); }
    /// Takes the pending INIT: registers as after INIT (SDM 3A table 9-1); application processors
    /// wait for SIPI then.
    void apply_init(sim::Time now);
    /// Start at vector * 4096 in real mode (SDM 3A 9.4.4); ends waiting.
    void apply_sipi(std::uint8_t vector);
    /// Registers as after RESET, for every processor of a partition that starts anew.
    void apply_reset(sim::Time now);
    /// HV_INITIAL_VP_CONTEXT: the processor starts there.
    void apply_initial_context(const hc::InitialContext& initial);
    /// A message addressed to this processor's APIC; wakes it.
    apic::Acceptance receive(const apic::InterruptMessage& message, sim::Time now,
                             bool auto_eoi = false);
    /// End of interrupt by a write to the APIC or the EOI MSR.
    void end_of_interrupt(sim::Time now);
    /// The EOI that is being broadcast is this processor's.
    bool ending_interrupt() const noexcept { return ending_interrupt_; }

    /// EOI assist (TLFS 10.3.5): before an entry, lets the guest end the interrupt in service
    /// without an exit where nothing hangs on its EOI; takes the offer back where something does.
    void prepare_entry(sim::Time now);
    /// After every exit, before interrupts are looked at: an accepted offer is an EOI.
    void after_exit(sim::Time now);

    // --- Instructions ---
    CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) const;
    MsrResult read_msr(std::uint32_t index, sim::Time now);
    MsrResult write_msr(std::uint32_t index, std::uint64_t value, sim::Time now);
    /// The xAPIC window; `offset` in the page, `size` in bytes.
    std::uint64_t mmio_apic_read(std::uint32_t offset, unsigned size, sim::Time now);
    void mmio_apic_write(std::uint32_t offset, unsigned size, std::uint64_t value, sim::Time now);
    /// HvCallRegisterInterceptResult for CPUID.
    /// no_resources: the table of results is full.
    HvStatus register_cpuid_result(const hc::RegisterInterceptResult& result);

    // --- Registers by name (HvCallGetVpRegisters, HvCallSetVpRegisters) ---
    HvStatus get_register(std::uint32_t name, RegisterValue& value, sim::Time now);
    HvStatus set_register(std::uint32_t name, const RegisterValue& value, sim::Time now);

    // --- Overlay pages ---
    /// False: #GP (reserved bits, page number beyond the guest-physical space, no memory).
    bool write_assist_page(std::uint64_t value);
    std::uint64_t assist_page() const noexcept { return assist_msr_; }
    bool write_simp(std::uint64_t value, sim::Time now);
    bool write_siefp(std::uint64_t value, sim::Time now);
    void remove_overlays();

    // --- Timers ---
    bool write_timer_config(unsigned timer, std::uint64_t value, sim::Time now);
    void write_timer_count(unsigned timer, std::uint64_t value, sim::Time now);

    // --- Intercepts: builds the message, suspends this processor, sends it to the parent ---
    struct InterceptInstruction {
        std::uint8_t length = 0;
        std::span<const std::uint8_t> bytes{};
    };
    void send_io_intercept(std::uint16_t port, unsigned size, bool write, bool string, bool rep,
                           const InterceptInstruction& instruction, sim::Time now);
    void send_msr_intercept(std::uint32_t msr, bool write, std::uint8_t length, sim::Time now);
    void send_cpuid_intercept(std::uint8_t length, sim::Time now);
    void send_memory_intercept(std::uint64_t gpa, InterceptAccess access,
                               std::optional<std::uint64_t> gva, bool unmapped,
                               const InterceptInstruction& instruction, sim::Time now);
    void send_exception_intercept(std::uint8_t vector, std::optional<std::uint32_t> error_code,
                                  std::uint64_t parameter, const InterceptInstruction& instruction,
                                  sim::Time now);
    /// Triple fault: the parent resets or turns off the partition.
    void send_unrecoverable_exception(sim::Time now);
    /// End of a level-triggered interrupt that the parent wants to hear of; no suspension.
    void send_apic_eoi(std::uint8_t vector, sim::Time now);
    /// Which of the parent's processors gets this processor's intercepts; nullopt: index modulo
    /// the parent's number of processors.
    void set_intercept_target(std::optional<VpIndex> target) noexcept { target_ = target; }

    struct Counters {
        std::array<std::uint64_t, 256> accepted{};  ///< interrupts injected, by vector
        std::uint64_t by_sint = 0, by_timer = 0, by_ipi = 0, by_parent = 0;
        std::uint64_t timer_messages = 0;
        std::uint64_t eoi_assists = 0, eoi_writes = 0, auto_eois = 0;
        std::uint64_t xapic_accesses = 0, x2apic_accesses = 0, synthetic_apic_accesses = 0;
        std::uint64_t intercepts = 0, msr_faults = 0;
    };
    const Counters& counters() const noexcept { return counters_; }
    Counters& counters() noexcept { return counters_; }

    // SynicClient
    void raise_sint(unsigned sint, std::uint8_t vector, sim::Time now) override;
    void message_delivered(unsigned sint, const MessageSlot& message, PortId port,
                           sim::Time now) override;
    MessageSlot take_timer_message(unsigned timer, sim::Time now) override;

  private:
    InterceptHeader intercept_header(std::uint8_t length, InterceptAccess access) const;
    template <typename Payload>
    bool post_to_parent(MessageType type, const Payload& payload, sim::Time now);
    template <typename Payload>
    void send_intercept(MessageType type, const Payload& payload, sim::Time now);
    void finish_interrupt(sim::Time now);
    void count_apic_access(std::uint32_t msr);
    bool change_overlay(std::uint64_t& current, std::uint64_t value, std::uint64_t system_page);
    void expire_timer(unsigned index, sim::Time now);
    void update_deadline(unsigned index);
    bool at_rest() const { return idle_ || context().halted(); }
    void power_up_registers(bool init);
    std::uint32_t assist_bits() const;
    void set_assist_bits(std::uint32_t value);
    CpuidResult guest_cpuid(std::uint32_t leaf, std::uint32_t subleaf) const;
    CpuidResult xsave_cpuid(std::uint32_t subleaf, CpuidResult base) const;
    CpuidResult topology_cpuid(std::uint32_t leaf, std::uint32_t subleaf, CpuidResult base) const;

    Hypervisor& hypervisor_;
    Partition& partition_;
    VpIndex index_;
    std::uint16_t home_ = sim::kNoUnit;
    VpPages pages_;
    VpContext* context_ = nullptr;
    apic::LocalApic apic_;
    Synic synic_;
    std::array<SyntheticTimer, kStimerCount> timers_;
    std::array<sim::Time, kStimerCount> timer_deadlines_;  // follow from timers_ and the clock
    VpMsrState msrs_;
    std::uint64_t assist_msr_ = 0;
    std::uint64_t tsc_adjust_ = 0;  ///< this processor's own offset, modulo 2^64
    bool eoi_offered_ = false;      ///< the assist bit was set by us
    bool explicit_suspend_ = false;
    bool intercept_suspend_ = false;
    bool idle_ = false;
    bool ending_interrupt_ = false;
    sim::Duration run_time_ = 0;
    std::optional<VpIndex> target_;
    struct CpuidOverride {
        bool subleaf_specific = false;
        CpuidResult value, mask;
    };
    std::map<std::pair<std::uint32_t, std::uint32_t>, CpuidOverride> cpuid_overrides_;
    Counters counters_;
};

}  // namespace hvsim::hv
