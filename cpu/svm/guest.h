#pragma once
// A guest under SVM: one VMCB in simulated memory and the core that runs what it describes.
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cpu/execution_core.h"
#include "cpu/svm/avic.h"
#include "cpu/svm/vmcb.h"

namespace hvsim::cpu::svm {

/// Why VMRUN exited with VMEXIT_INVALID: the rule, its section in APM 2, the field and its value.
struct EntryFailure {
    std::uint32_t rule = 0;
    std::string_view section;
    std::string_view demand;  ///< what the rule asks for
    std::uint16_t field = 0;  ///< offset in the VMCB
    std::uint64_t value = 0;
};

/// How VMRUN ended: in the guest, or with an immediate VMEXIT_INVALID.
struct EntryResult {
    bool invalid = false;
    EntryFailure failure;
    bool entered() const noexcept { return !invalid; }
};

inline constexpr std::uint64_t kTscRatioOne = std::uint64_t{1} << 32;

/// Optional parts of SVM (CPUID.8000000AH:EDX), as far as a VMCB may ask for them.
struct Features {
    bool nested_paging = true;
    bool virtual_gif = true;
    bool virtual_nmi = true;
    bool execute_trap = true;
    bool last_branches = true;
    bool virtual_vmload = true;
    bool avic = false;
    bool x2avic = false;
    bool operator==(const Features&) const = default;
};

/// What VMRUN takes from the processor and the host around it.
struct Host {
    Features features{};
    bool interrupts = true;  ///< RFLAGS.IF, with V_INTR_MASKING the mask of physical interrupts
    /// The host's program runs on the same core, on its own side (Core::change_sides()).
    bool shares_core = false;
    bool paging = true;                            ///< CR0.PG, which nested paging needs
    mmu::NptMode npt_mode = mmu::NptMode::level4;  ///< of the host's paging
    bool page_size_extensions = true;              ///< CR4.PSE
    bool no_execute = true;                        ///< EFER.NXE
    bool smep = true;                              ///< CR4.SMEP
    std::uint64_t tsc_ratio = kTscRatioOne;        ///< TSC_RATIO MSR, 8.32 fixed point
    bool operator==(const Host&) const = default;
};

/// The control area as the processor holds it while the guest runs.
struct Controls {
    std::uint16_t cr_reads = 0, cr_writes = 0, dr_reads = 0, dr_writes = 0;
    std::uint32_t exceptions = 0;
    std::array<std::uint32_t, 3> misc{};
    std::uint64_t tsc_offset = 0;
    std::uint16_t pause_filter_count = 0, pause_filter_threshold = 0;
    std::uint64_t iopm = 0, msrpm = 0;
    std::uint32_t asid = 0;
    std::uint64_t vintr = 0;
    std::uint64_t nested = 0, n_cr3 = 0;
    std::uint64_t avic_bar = 0, avic_backing_page = 0, avic_logical_table = 0,
                  avic_physical_table = 0;
    // Read at every VMRUN.
    std::uint8_t tlb_control = 0;
    std::uint64_t event_injection = 0;

    bool intercepts(ExitCode code) const noexcept {
        return (misc[intercept_word(code)] & intercept_mask(code)) != 0;
    }
};

/// Stands for the group of RFLAGS, RIP, RSP and RAX, which have no clean bit and are never cached.
inline constexpr std::uint32_t kNeverCached = 1u << 31;

/// The save area's fields that VMRUN and #VMEXIT move, as the processor holds them; by offset in
/// the VMCB. VMLOAD's fields are not kept: they are the core's.
class SaveImage {
  public:
    static constexpr std::uint16_t kFirst = kStateSaveArea, kEnd = 0x6a0;

    template <typename T>
    T get(FieldAt<T> field) const noexcept {
        T value{};
        std::memcpy(&value, bytes_.data() + (field.offset - kFirst), sizeof(T));
        return value;
    }
    template <typename T>
    void set(FieldAt<T> field, T value) noexcept {
        std::memcpy(bytes_.data() + (field.offset - kFirst), &value, sizeof(T));
    }
    std::uint8_t* at(std::uint16_t offset) noexcept { return bytes_.data() + (offset - kFirst); }

  private:
    std::array<std::uint8_t, kEnd - kFirst> bytes_{};
};

/// VMLOAD and VMSAVE (APM 3): FS, GS, TR, LDTR, KernelGSBase, STAR, LSTAR, CSTAR, SFMASK,
/// SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP.
void vmload(ExecutionCore& core, const Vmcb& vmcb);
void vmsave(ExecutionCore& core, const Vmcb& vmcb);

class Guest final : public GuestMode {
  public:
    /// `address`: of the VMCB in RAM, 4 KiB aligned. `physical_bits`: width of physical addresses.
    Guest(std::uint64_t address, ExecutionCore& core, HostSoftware& host,
          std::uint8_t physical_bits = 48);
    /// The next VMRUN is about the VMCB at `address`, likewise.
    void attach(std::uint64_t address);

    const Vmcb& vmcb() const noexcept { return vmcb_; }
    ExecutionCore& core() noexcept { return core_; }

    EntryResult vmrun(const Host& host = {});
    void vmload() { svm::vmload(core_, vmcb_); }
    void vmsave() { svm::vmsave(core_, vmcb_); }
    /// INVLPGA and its like on another processor: drops the guest's translations at once.
    void flush_translations() { core_.invalidate_nested(); }

    bool in_guest() const noexcept { return in_guest_; }
    /// Writes the state of a guest that runs to the VMCB, for inspection; it goes on unchanged.
    void sync();
    /// Takes over what was changed in the VMCB since sync(); the guest must not be executing.
    void adopt();
    /// The processor no longer holds anything of this VMCB: the next VMRUN reads all of it.
    void forget() noexcept { cached_ = false; }
    /// The guest is no more, without a #VMEXIT: the processor was reset.
    void abandon() noexcept { in_guest_ = cached_ = false; }
    /// VMCB fields as the running guest's processor holds them.
    const Controls& controls() const noexcept { return controls_; }
    bool has_nested_paging() const noexcept { return paged_; }
    bool has_virtual_gif() const noexcept {
        return surroundings_.features.virtual_gif && vintr::VGIF_ENABLE::test(controls_.vintr);
    }
    /// STGI and CLGI of a guest with a GIF of its own (APM 2 15.33.1).
    void set_virtual_gif(bool value) noexcept;
    const EntryResult& last_entry() const noexcept { return last_entry_; }

    // --- GuestMode ---
    const mmu::SecondStage* second_stage() noexcept override { return paged_ ? &stage_ : nullptr; }
    bool intercepts(const Action& action) noexcept override;
    bool exit(const Action& action, const Event* vectoring) override;
    std::uint64_t visible_cr(unsigned index, std::uint64_t real) const noexcept override;
    std::uint64_t written_cr(unsigned index, std::uint64_t real,
                             std::uint64_t value) const noexcept override;
    std::uint64_t guest_tsc(std::uint64_t tsc) const noexcept override;
    bool exits_on_interrupt() const noexcept override;
    bool takes_interrupts(bool open) const noexcept override;
    /// A virtual interrupt (V_IRQ) passes V_TPR: it exits (VMEXIT_VINTR) or is delivered.
    bool wants_interrupt_window() const noexcept override;
    /// A virtual NMI is pending.
    bool wants_nmi_window() const noexcept override;
    bool has_virtual_nmis() const noexcept override {
        return surroundings_.features.virtual_nmi && vintr::V_NMI_ENABLE::test(controls_.vintr);
    }
    bool walks_pdptes() const noexcept override { return paged_; }
    void take_doorbell() override;
    bool has_due(DueOrder order) const noexcept override {
        return order == DueOrder::before_nmi && avic_.exit_due();
    }
    void take_due(DueOrder order) override;
    bool watches_boundaries() const noexcept override { return avic_.exit_due(); }
    bool is_apic_access_page(std::uint64_t guest, std::uint64_t page) const noexcept override;
    engine::MmioHandler* serve_apic_access(std::uint32_t offset, mmu::Access access,
                                           unsigned size) override;

  private:
    /// What a #VMEXIT records.
    struct Exit {
        std::uint64_t code = 0, info1 = 0, info2 = 0;
        bool has_next_rip = false;
        std::uint64_t guest_physical = 0;
    };

    bool virtual_gif() const noexcept {
        return !has_virtual_gif() || vintr::VGIF::test(controls_.vintr);
    }

    // guest.cpp
    void take_host(const Host& host);
    bool load_controls(std::uint32_t clean);
    std::uint32_t controls_changed();
    std::uint32_t pull(std::uint32_t clean);
    void apply(std::uint32_t groups);
    unsigned guest_cpl() const noexcept;
    void apply_segments();
    void save();
    Event inject_event();
    EntryResult refuse(const EntryFailure& failure);

    // exits.cpp
    bool masks_cr8(const Action& action) const noexcept;
    void follow_cr8(const Action& action) noexcept;
    bool in_io_map(const Action& action) const;
    bool in_msr_map(std::uint32_t msr, bool write) const;
    bool intercepts_msr(const Action& action) const;
    bool intercepts_cr(const Action& action) const noexcept;
    bool passes_pause_filter() noexcept;
    bool serve_inside(const Action& action);
    void access_virtual_tpr(const Action& action);
    void raise_inside(std::uint8_t vector);
    bool in_avic(const Action& action) const noexcept;
    bool access_avic_msr(const Action& action);
    void deliver_virtual_interrupt();
    void describe_avic(const Action& action, Exit& out);
    std::uint64_t next_rip(unsigned length) const;
    Exit describe(const Action& action);
    void describe_cr(const Action& action, Exit& out) const;
    bool waits_conditionally(const Action& action) const noexcept;
    static void describe_task_switch(const Action& action, Exit& out);
    void write_assists(const Action& action, const Exit& exit);
    sim::Duration exit_cost(const Action& action) const;

    Vmcb vmcb_;
    ExecutionCore& core_;
    HostSoftware& host_;
    std::uint8_t physical_bits_;
    bool cached_ = false;  ///< image_ and controls_ hold what the last #VMEXIT left
    bool in_guest_ = false;
    Host surroundings_;  ///< of the last VMRUN
    bool host_nmi_blocked_ = false;
    bool paged_ = false;
    std::uint32_t translated_asid_ = 0;   ///< whose translations the core may hold,
    std::uint64_t translated_n_cr3_ = 0;  ///< and through which tables
    std::uint16_t pauses_left_ = 0;       ///< the pause filter's internal count,
    std::uint64_t last_pause_ = 0;        ///< and the TSC of the last PAUSE
    Controls controls_;
    Avic avic_{core_, controls_};
    SaveImage image_;
    Segment entered_ss_;  ///< SS as the core got it at the last VMRUN
    mmu::SecondStage stage_;
    EntryResult last_entry_;
};

/// The consistency checks of VMRUN (APM 2 15.5.1, 15.20, 15.25) in the manual's order. True when
/// all hold; otherwise `failure` names the first that does not.
bool check_state(const Controls& controls, const SaveImage& state, const Host& host,
                 unsigned physical_bits, EntryFailure& failure);
/// The PDPTEs of a guest in PAE paging without nested paging (APM 2 15.25.10).
bool check_pdptes(const sim::Ram& ram, const Controls& controls, const SaveImage& state,
                  unsigned physical_bits, EntryFailure& failure);
/// The rules about event injection and TLB_CONTROL alone.
bool check_event(const Controls& controls, EntryFailure& failure);

/// Segment attributes of a VMCB and access rights as the engines and VMX have them. A segment that
/// is not present is unusable.
std::uint32_t rights_from_attrib(std::uint16_t attrib) noexcept;
std::uint16_t attrib_from_rights(std::uint32_t rights) noexcept;

}  // namespace hvsim::cpu::svm
