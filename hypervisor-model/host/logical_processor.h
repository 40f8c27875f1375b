#pragma once
// One logical processor under the hypervisor: which virtual processor it runs, what the hypervisor
// does at each exit, and when it has nothing to do.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apic/local_apic.h"
#include "cpu/execution_core.h"
#include "hypervisor-model/host/vp_backend.h"
#include "hypervisor-model/hypercall/dispatcher.h"
#include "hypervisor-model/virtual_processor.h"

namespace hvsim::hv {

class LogicalProcessor;

/// Why a virtual processor begins to run on a logical one, or ends.
enum class VpRunReason : std::uint8_t {
    woken,      ///< begins: it had nothing to do, or was suspended
    resumed,    ///< begins: it had to give way before
    halted,     ///< HLT
    idle,       ///< HV_X64_MSR_GUEST_IDLE
    intercept,  ///< its parent answers an intercept
    suspended,  ///< explicitly, with its partition, or its partition is no longer active
    no_sipi,    ///< waits for a start-up IPI
    root,       ///< the root partition needs the processor
    slice,      ///< its time slice is over and another one waits
    spinning,   ///< it spins, and another one waits
    refused,    ///< the processor refused the entry
};
/// One word for a report or trace.
std::string_view vp_run_reason_name(VpRunReason reason) noexcept;

/// A virtual processor as the scheduler sees it.
struct VpRecord {
    VirtualProcessor* vp = nullptr;
    VpBackend* backend = nullptr;
    LogicalProcessor* home = nullptr;  ///< where it runs
    bool root = false;                 ///< of the root partition: runs before all others
    bool ready = false;                ///< was runnable when last looked at
    sim::Time ready_since = 0;
    sim::Duration waiting = 0;                     ///< runnable, but another one had the processor
    VpRunReason stopped = VpRunReason::suspended;  ///< why it does not run
    sim::Time started = 0;                         ///< when it last began to
};

/// Physical vectors that the hypervisor uses itself; device vectors lie below.
inline constexpr std::uint8_t kTimerVector = 0xd1, kRescheduleVector = 0xd2,
                              kIommuFaultVector = 0xd3;
inline constexpr std::uint8_t kFirstDeviceVector = 0x50, kLastDeviceVector = 0xcf;

/// What a logical processor asks of the whole.
class HostServices {
  public:
    virtual ~HostServices() = default;
    virtual HypercallDispatcher& dispatcher() = 0;
    /// A device's interrupt arrived with this physical vector.
    virtual void device_interrupt(std::uint8_t vector, sim::Time now) = 0;
    /// The IOMMU reports faults, to this processor.
    virtual void iommu_fault_interrupt(LogicalProcessor& lp) = 0;
    /// Serves a device page of a partition that no memory is mapped at; nullptr: none.
    virtual cpu::engine::MmioHandler* mmio_window(Partition& partition, std::uint64_t gpa) = 0;
    /// Serves loads and stores of a partition where nothing is; nullptr: its parent is asked.
    virtual cpu::engine::MmioHandler* open_bus(Partition& partition) = 0;
    /// The guest asked for a reset, or reported a crash.
    virtual void guest_action(VirtualProcessor& vp, VpAction action, sim::Time now) = 0;
    /// An entry was refused: a bug of the hypervisor, told in words.
    virtual void entry_failed(VirtualProcessor& vp, const EntryReport& report) = 0;
    virtual const sim::TimingProfile& timing() const = 0;
    virtual sim::Recorder& recorder() = 0;
};

class LogicalProcessor final : public cpu::HostSoftware, private cpu::engine::MmioHandler {
  public:
    LogicalProcessor(std::uint32_t id, apic::LocalApic& apic, HostServices& host,
                     sim::Duration slice);

    std::uint32_t id() const noexcept { return id_; }
    sim::Time now() const noexcept;
    apic::LocalApic& apic() noexcept { return apic_; }

    void add(VpRecord& record);
    void remove(const VpRecord& record);

    /// Executes until `until`, or until nothing is left to do before it.
    void run(sim::Time until);
    /// When run() has something to do next; kNever: waits for an interrupt.
    sim::Time wake_time() const;
    /// Something at `at` may have made a virtual processor of this one runnable.
    void notice(sim::Time at);
    /// Ends the current run at `deadline` at the latest.
    void shorten(sim::Time deadline);
    /// The hypervisor itself works on this processor.
    void charge(sim::Duration cost);

    /// The processor is inside run() now (others look on from outside).
    bool executing() const noexcept { return executing_; }
    bool handling_exit() const noexcept { return handling_exit_; }

    struct ExitCounter {
        std::uint64_t count = 0;
        sim::Duration cost = 0;  ///< from the exit to the next entry
    };
    struct Counters {
        std::array<ExitCounter, 0x404> exits{};  ///< by the vendor's basic reason or exit code
        sim::Duration guest = 0, hypervisor = 0, idle = 0;
        std::uint64_t switches = 0, interrupts = 0;
    };
    const Counters& counters() const noexcept { return counters_; }

    // --- cpu::HostSoftware ---
    bool on_vm_exit(cpu::ExecutionCore& core) override;

  private:
    // cpu::engine::MmioHandler: the xAPIC page of the current virtual processor
    std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override;
    void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override;

    VpRecord* pick();
    void execute(VpRecord& record);
    bool enter(VpRecord& record);
    bool must_yield(const VpRecord& record, VpRunReason& reason);
    bool may_run(const VpRecord& record, VpRunReason& reason);
    sim::Time slice_end(const VpRecord& record, sim::Time now) const;
    void yield();
    void watch_for_spinning();
    void note_start(VpRecord& record, sim::Duration waited);
    void note_stop(VpRecord& record, VpRunReason reason);
    void deliver_events(VpRecord& record);
    void start_from_signals(VpRecord& record);
    void arm_timer(const VpRecord& record);
    sim::Time next_virtual_deadline() const;
    void advance_timers(sim::Time now);
    void take_interrupts();
    void interrupt(std::uint8_t vector, sim::Time now);
    void note_ready(sim::Time now);

    void handle(VpRecord& record, const ExitInfo& exit);
    void handle_cpuid(VpRecord& record, const ExitInfo& exit);
    void handle_xsetbv(VpRecord& record, const ExitInfo& exit);
    void handle_msr(VpRecord& record, const ExitInfo& exit);
    void handle_io(VpRecord& record, const ExitInfo& exit);
    void handle_hypercall(VpRecord& record, const ExitInfo& exit);
    void handle_nested_fault(VpRecord& record, const ExitInfo& exit);
    void handle_exception(VpRecord& record, const ExitInfo& exit);
    void raise(VpRecord& record, std::uint8_t vector, std::uint32_t error_code = 0);

    std::uint32_t id_;
    apic::LocalApic& apic_;
    HostServices& host_;
    sim::Duration slice_;
    sim::Time now_ = 0, until_ = 0, notice_ = sim::kNever, slice_end_ = sim::kNever;
    sim::Time armed_ = sim::kNever;
    std::vector<VpRecord*> records_;  // root partition's first, then by partition and index
    std::size_t next_ = 0;            // round robin
    VpRecord* current_ = nullptr;
    VpRecord* last_ = nullptr;
    bool idle_ = false;    ///< nothing to do until wake_time()
    bool yields_ = false;  ///< the current virtual processor gave the rest of its slice away
    bool in_guest_ = false, executing_ = false, handling_exit_ = false;
    Counters counters_;
};

}  // namespace hvsim::hv
