#pragma once
// A VMCB in some memory, a core that is a register file, and host software that notes the exits.
#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/svm/guest.h"

namespace hvsim::cpu::svm::test {

/// Keeps what is set; counts what a VMRUN should do only when it has to.
class RegisterFile : public ExecutionCore {
  public:
    explicit RegisterFile(sim::Ram& ram) : ram_(ram) {}

    // --- ExecutionCore ---
    CoreStop run(sim::Time, sim::Time) override { return CoreStop::deadline; }
    void set_now(sim::Time now) noexcept override { time = now; }
    sim::Time now() const noexcept override { return time; }
    void charge(sim::Duration cost) noexcept override { time += cost; }
    void shorten_deadline(sim::Time) noexcept override {}
    void request_stop() noexcept override {}
    void poll_soon() noexcept override {}
    void complete_instruction(unsigned length) override {
        set_rip(rip() + length);
        shadow = false;
    }
    const Model& model() const noexcept override { return default_model(Vendor::intel); }
    void set_guest_mode(GuestMode* mode) noexcept override { guest_mode = mode; }
    void inject(const Event& event) override { injected.push_back(event); }
    bool has_injection() const noexcept override { return !injected.empty(); }
    const Event& injection() const noexcept override {
        return injected.empty() ? none_ : injected.back();
    }
    void cancel_injection() noexcept override { injected.clear(); }
    void assist(std::uint64_t, engine::MmioHandler&) override {}
    void invalidate_nested() override { ++nested_flushes; }
    void set_optional_intercepts(const engine::OptionalIntercepts& value) override {
        optional = value;
    }
    std::size_t peek_code(std::span<std::uint8_t> out) override {
        const std::size_t size = std::min(out.size(), code.size());
        std::copy_n(code.begin(), size, out.begin());
        return size;
    }
    apic::LocalApic* local_apic() noexcept override { return nullptr; }
    void set_local_apic(apic::LocalApic*) noexcept override {}
    sim::Subject& subject() noexcept override { return subject_; }
    sim::Recorder& recorder() noexcept override { return recorder_; }
    const sim::TimingProfile& timing() const noexcept override { return profile; }
    sim::Ram& ram() noexcept override { return ram_; }
    mmu::NestedTlb& nested_tlb() noexcept override { return tlb_; }
    std::uint64_t host_tsc() override { return 0; }

    // --- ArchState ---
    std::uint64_t gpr(unsigned i) const override { return gprs.at(i); }
    void set_gpr(unsigned i, std::uint64_t value) override { gprs.at(i) = value; }
    std::uint64_t rip() const override { return rip_; }
    void set_rip(std::uint64_t value) override { rip_ = value; }
    std::uint64_t rflags() const override { return rflags_; }
    void set_rflags(std::uint64_t value) override { rflags_ = value; }
    Segment segment(SegmentName name) const override {
        return segments.at(static_cast<unsigned>(name));
    }
    void set_segment(SegmentName name, const Segment& value) override {
        ++segment_loads;
        segments.at(static_cast<unsigned>(name)) = value;
    }
    TableRegister gdtr() const override { return gdtr_; }
    void set_gdtr(const TableRegister& value) override { gdtr_ = value; }
    TableRegister idtr() const override { return idtr_; }
    void set_idtr(const TableRegister& value) override { idtr_ = value; }
    std::uint64_t cr(unsigned i) const override { return crs.at(i); }
    void set_cr(unsigned i, std::uint64_t value) override {
        ++control_loads;
        crs.at(i) = value;
    }
    std::uint64_t dr(unsigned i) const override { return drs.at(i); }
    void set_dr(unsigned i, std::uint64_t value) override { drs.at(i) = value; }
    std::uint64_t efer() const override { return efer_; }
    void set_efer(std::uint64_t value) override {
        ++control_loads;
        efer_ = value;
    }
    std::uint64_t pat() const override { return pat_; }
    void set_pat(std::uint64_t value) override { pat_ = value; }
    std::uint64_t xcr0() const override { return xcr0_; }
    void set_xcr0(std::uint64_t value) override { xcr0_ = value; }
    std::uint64_t native_msr(std::uint32_t msr) const override {
        for (const auto& [number, value] : msrs)
            if (number == msr) return value;
        return 0;
    }
    void set_native_msr(std::uint32_t msr, std::uint64_t value) override {
        for (auto& entry : msrs)
            if (entry.first == msr) {
                entry.second = value;
                return;
            }
        msrs.emplace_back(msr, value);
    }
    std::array<std::uint8_t, 512> fxsave() const override { return {}; }
    void fxrstor(const std::array<std::uint8_t, 512>&) override {}
    bool interrupt_shadow() const override { return shadow; }
    void set_interrupt_shadow(bool value) override { shadow = value; }
    bool nmi_blocked() const override { return blocks_nmis; }
    void set_nmi_blocked(bool value) override { blocks_nmis = value; }
    ActivityState activity() const override { return activity_; }
    void set_activity(ActivityState state) override { activity_ = state; }
    void flush_tlb() override {}

    sim::Time time = 0;
    sim::TimingProfile profile;
    GuestMode* guest_mode = nullptr;
    std::vector<Event> injected;
    engine::OptionalIntercepts optional;
    std::vector<std::uint8_t> code;
    unsigned nested_flushes = 0, segment_loads = 0, control_loads = 0;
    bool shadow = false, blocks_nmis = false;
    std::array<std::uint64_t, 16> gprs{};
    std::array<Segment, 8> segments{};
    std::array<std::uint64_t, 9> crs{};
    std::array<std::uint64_t, 8> drs{};
    std::vector<std::pair<std::uint32_t, std::uint64_t>> msrs;

  private:
    const Event none_;
    sim::Ram& ram_;
    sim::Recorder recorder_;
    sim::Subject subject_;
    mmu::NestedTlb tlb_;
    std::uint64_t rip_ = 0, rflags_ = 2, efer_ = 0, pat_ = 0, xcr0_ = 1;
    TableRegister gdtr_, idtr_;
    ActivityState activity_ = ActivityState::active;
};

inline constexpr std::uint64_t kVmcb = 0x3000, kMsrMap = 0x4000, kIoMap = 0x6000;

/// A 64-bit guest that VMRUN accepts. Memory is written raw, by numeric offset, where a test says
/// so.
class Bench : public HostSoftware {
  public:
    Bench() {
        put(vmcb::INTERCEPT_MISC2, intercept_mask(ExitCode::VMRUN));
        put(vmcb::IOPM_BASE_PA, kIoMap);
        put(vmcb::MSRPM_BASE_PA, kMsrMap);
        put(vmcb::GUEST_ASID, 1u);
        put(vmcb::EFER, efer::kSVME | efer::kLME | efer::kLMA);
        put(vmcb::CR0, cr0::kPE | cr0::kPG | cr0::kET);
        put(vmcb::CR4, cr4::kPAE);
        put(vmcb::CR3, std::uint64_t{0x1000});
        put(vmcb::CS_SELECTOR, std::uint16_t{8});
        put(vmcb::CS_ATTRIB, std::uint16_t{0xa9b});
        put(vmcb::CS_LIMIT, ~std::uint32_t{0});
        put(vmcb::SS_SELECTOR, std::uint16_t{0x10});
        put(vmcb::SS_ATTRIB, std::uint16_t{0xc93});
        put(vmcb::SS_LIMIT, ~std::uint32_t{0});
        put(vmcb::RFLAGS, std::uint64_t{0x202});
        put(vmcb::RIP, std::uint64_t{0x10'0000});
        put(vmcb::DR6, std::uint64_t{0xffff0ff0});
        put(vmcb::DR7, std::uint64_t{0x400});
        put(vmcb::G_PAT, kPatReset);
    }

    template <typename T>
    T get(FieldAt<T> field) const {
        T value{};
        ram.read(kVmcb + field.offset, value);
        return value;
    }
    template <typename T>
    void put(FieldAt<T> field, std::type_identity_t<T> value) {
        ram.write(kVmcb + field.offset, value);
    }
    void intercept(ExitCode code) {
        const auto offset =
            static_cast<std::uint16_t>(vmcb::INTERCEPT_MISC1.offset + 4 * intercept_word(code));
        const FieldAt<std::uint32_t> field{offset};
        put(field, get(field) | intercept_mask(code));
    }
    std::uint64_t exit_code() const { return get(vmcb::EXITCODE); }

    /// VMRUN that has to enter, then the action; true: it exited.
    bool provoke(const Action& action, const Event* vectoring = nullptr) {
        if (!guest.in_guest() && !guest.vmrun().entered()) return false;
        if (!guest.intercepts(action)) return false;
        const std::size_t before = exits;
        guest.exit(action, vectoring);
        return exits != before;
    }
    bool provoke(ActionKind kind, std::uint8_t length = 2) {
        Action action;
        action.kind = kind;
        action.instruction_length = length;
        return provoke(action);
    }

    bool on_vm_exit(ExecutionCore&) override {
        ++exits;
        return handler ? handler() : false;
    }

    sim::Ram ram{0x10'0000};
    RegisterFile core{ram};
    std::size_t exits = 0;
    std::function<bool()> handler;
    Guest guest{kVmcb, core, *this};
};

}  // namespace hvsim::cpu::svm::test
