#pragma once
// VMX non-root operation: one VMCS and the core whose guest state it describes.
#include <cstdint>
#include <string_view>

#include "cpu/execution_core.h"
#include "cpu/vmx/region.h"

namespace hvsim::cpu::vmx {

/// Why an entry was refused: the rule, its section in the SDM, the field and what was found.
struct EntryFailure {
    std::uint32_t rule = 0;
    std::string_view section;
    std::string_view demand;  ///< what the rule asks for
    Field field{};
    std::uint64_t value = 0;
};

/// Rules whose failure the exit qualification tells apart (SDM 3C 27.8).
inline constexpr std::uint32_t kLinkPointerRule = 397, kPdpteRule = 401;

/// How VMLAUNCH or VMRESUME ended.
struct EntryResult {
    InstructionError error = InstructionError::none;  ///< not none: VMfailValid, no entry
    bool guest_state_failed = false;                  ///< VM exit 33 or 34 instead of an entry
    EntryFailure failure;                             ///< of a refused entry
    bool entered() const noexcept {
        return error == InstructionError::none && !guest_state_failed;
    }
};

/// A VMCS that is current, and VMX non-root operation under its controls.
class Guest final : public GuestMode {
  public:
    /// `address`: of the VMCS region in RAM, 4 KiB aligned, revision written.
    Guest(std::uint64_t address, ExecutionCore& core, HostSoftware& host);

    std::uint64_t address() const noexcept { return region_.address(); }
    ExecutionCore& core() noexcept { return core_; }

    /// VMREAD and VMWRITE of a supported field; guest-state fields come from the core while it holds
    /// them. Writes are truncated to the field's width.
    std::uint64_t read(Field field) const;
    void write(Field field, std::uint64_t value);
    /// VMREAD and VMWRITE by encoding; false: unsupported component.
    bool read_encoded(std::uint32_t encoding, std::uint64_t& value) const;
    InstructionError write_encoded(std::uint32_t encoding, std::uint64_t value);

    /// VMCLEAR: the core's state goes to memory, launch state becomes clear.
    void clear();
    /// Writes the state that the core holds to memory (for inspection); the core keeps it.
    void sync();

    /// VMLAUNCH (`launch`) or VMRESUME.
    EntryResult enter(bool launch);
    const EntryResult& last_entry() const noexcept { return last_entry_; }

    // --- GuestMode ---
    const mmu::SecondStage* second_stage() noexcept override { return ept_ ? &stage_ : nullptr; }
    bool intercepts(const Action& action) noexcept override;
    bool exit(const Action& action, const Event* vectoring) override;
    std::uint64_t visible_cr(unsigned index, std::uint64_t real) const noexcept override;
    std::uint64_t written_cr(unsigned index, std::uint64_t real,
                             std::uint64_t value) const noexcept override;
    std::uint64_t guest_tsc(std::uint64_t tsc) const noexcept override;
    bool exits_on_interrupt() const noexcept override {
        return (pin_ & pin::kExternalInterruptExiting) != 0;
    }
    bool wants_interrupt_window() const noexcept override {
        return (primary_ & primary::kInterruptWindowExiting) != 0;
    }

  private:
    std::uint64_t raw(Field field) const noexcept { return region_.read(field); }
    void set_raw(Field field, std::uint64_t value) { region_.write(field, value); }
    bool read_state(Field field, std::uint64_t& value) const;
    bool write_state(Field field, std::uint64_t value);
    bool write_unchecked_control(Field field, std::uint64_t value);
    void load_state();
    void cache_controls();
    Event inject_event();
    bool in_io_bitmap(const Action& action) const;
    bool in_msr_bitmap(std::uint32_t msr, bool write) const;
    bool intercepts_exception(const Event& event) const;
    bool intercepts_cr(const Action& action) const;
    bool exits_pause_loop() noexcept;
    std::uint64_t qualification(const Action& action, std::uint32_t& reason);
    void write_interruption(const Event& event, bool acknowledge);
    void write_instruction_info(const Action& action);
    sim::Duration exit_cost(const Action& action) const;

    Region region_;
    ExecutionCore& core_;
    HostSoftware& host_;
    bool state_in_core_ = false;
    bool launched_ = false;
    bool checks_due_ = true;  ///< a field of controls, host or guest state was written
    bool injection_checks_due_ = false;  ///< only the injected event was
    EntryResult last_entry_;

    // Controls of the current entry.
    std::uint32_t pin_ = 0, primary_ = 0, secondary_ = 0, exit_controls_ = 0;
    std::uint64_t exception_bitmap_ = 0, cr0_mask_ = 0, cr4_mask_ = 0, cr0_shadow_ = 0,
                  cr4_shadow_ = 0, tsc_offset_ = 0, io_bitmap_a_ = 0, io_bitmap_b_ = 0,
                  msr_bitmaps_ = 0;
    bool ept_ = false;
    mmu::SecondStage stage_;

    // PAUSE-loop exiting: TSC of the loop's first and of the last PAUSE since the entry.
    struct PauseLoop {
        std::uint32_t gap = 0, window = 0;
        bool begun = false;
        std::uint64_t first = 0, last = 0;
    } pause_loop_;
};

/// The rules of SDM 3C 27.2 (controls, host state) and 27.3.1 (guest state), in the manual's order.
/// True when all hold; otherwise `failure` names the first that does not.
bool check_controls(const Guest& guest, EntryFailure& failure);
bool check_host_state(const Guest& guest, EntryFailure& failure);
bool check_guest_state(const Guest& guest, EntryFailure& failure);
/// The rules that are about event injection alone; notes a failure in `result`.
void check_injection(const Guest& guest, EntryResult& result);

}  // namespace hvsim::cpu::vmx
