#pragma once
// A hypervisor on real memory with everything beyond it faked: register contexts are plain data,
// wakes and flushes are counted. Root software and guests call by the same door.
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "hypervisor-model/hypercall/dispatcher.h"
#include "hypervisor-model/hypervisor.h"
#include "hypervisor-model/spec/hypercall_abi.h"
#include "hypervisor-model/spec/hypercall_structs.h"
#include "hypervisor-model/spec/msr.h"

namespace hvsim::hv::test {

using cpu::engine::kR8;
using cpu::engine::kRax;
using cpu::engine::kRbx;
using cpu::engine::kRcx;
using cpu::engine::kRdi;
using cpu::engine::kRdx;
using cpu::engine::kRsi;
using cpu::engine::kRsp;

class FakeContext final : public VpContext {
  public:
    std::array<std::uint64_t, 16> gprs{}, crs{}, drs{};
    std::uint64_t rip_ = 0, rflags_ = 2, efer_ = 0, xcr0_ = 1;
    std::array<Segment, cpu::engine::kSegmentCount> segments{};
    TableRegister gdtr_, idtr_;
    std::map<std::uint32_t, std::uint64_t> msrs;
    std::array<std::uint8_t, 512> fx{};
    bool shadow = false, halted_ = false;
    std::vector<InjectedEvent> injected;
    unsigned flushes = 0;

    std::uint64_t gpr(unsigned i) const override { return gprs.at(i); }
    void set_gpr(unsigned i, std::uint64_t v) override { gprs.at(i) = v; }
    std::uint64_t rip() const override { return rip_; }
    void set_rip(std::uint64_t v) override { rip_ = v; }
    std::uint64_t rflags() const override { return rflags_; }
    void set_rflags(std::uint64_t v) override { rflags_ = v; }
    std::uint64_t cr(unsigned i) const override { return crs.at(i); }
    void set_cr(unsigned i, std::uint64_t v) override { crs.at(i) = v; }
    std::uint64_t dr(unsigned i) const override { return drs.at(i); }
    void set_dr(unsigned i, std::uint64_t v) override { drs.at(i) = v; }
    std::uint64_t efer() const override { return efer_; }
    void set_efer(std::uint64_t v) override { efer_ = v; }
    Segment segment(SegmentName n) const override { return segments.at(static_cast<unsigned>(n)); }
    void set_segment(SegmentName n, const Segment& s) override {
        segments.at(static_cast<unsigned>(n)) = s;
    }
    TableRegister gdtr() const override { return gdtr_; }
    void set_gdtr(const TableRegister& v) override { gdtr_ = v; }
    TableRegister idtr() const override { return idtr_; }
    void set_idtr(const TableRegister& v) override { idtr_ = v; }
    bool read_msr(std::uint32_t m, std::uint64_t& v) const override {
        const auto found = msrs.find(m);
        v = found == msrs.end() ? 0 : found->second;
        return true;
    }
    bool write_msr(std::uint32_t m, std::uint64_t v) override {
        msrs[m] = v;
        return true;
    }
    std::uint64_t xcr0() const override { return xcr0_; }
    void set_xcr0(std::uint64_t v) override { xcr0_ = v; }
    std::array<std::uint8_t, 512> fxsave() const override { return fx; }
    void fxrstor(const std::array<std::uint8_t, 512>& image) override { fx = image; }
    bool interrupt_shadow() const override { return shadow; }
    void set_interrupt_shadow(bool v) override { shadow = v; }
    bool halted() const override { return halted_; }
    void set_halted(bool v) override { halted_ = v; }
    bool has_pending_injection() const override { return !injected.empty(); }
    void inject(const InjectedEvent& event) override { injected.push_back(event); }
    void flush_tlb() override { ++flushes; }

    /// 64-bit mode, CPL 0, interrupts on.
    void enter_long_mode() {
        crs[0] = 0x8000'0011;
        efer_ = 0x500;
        rflags_ = 0x202;
        segments[1].access_rights = 0xa09b;
        segments[2].access_rights = 0xc093;
    }
};

class FakeBackend final : public VpBackendFactory {
  public:
    std::map<const VirtualProcessor*, std::unique_ptr<FakeContext>> contexts;
    bool refuse = false;
    VpContext* create_vp(Partition&, VirtualProcessor& vp) override {
        if (refuse) return nullptr;
        auto& slot = contexts[&vp];
        slot = std::make_unique<FakeContext>();
        return slot.get();
    }
    void destroy_vp(VirtualProcessor& vp) override { contexts.erase(&vp); }
};

class FakeWaker final : public VpWaker {
  public:
    std::vector<std::pair<const VirtualProcessor*, sim::Time>> wakes;
    void wake(VirtualProcessor& vp, sim::Time at) override { wakes.emplace_back(&vp, at); }
};

class FakeShootdown final : public TlbShootdown {
  public:
    std::vector<std::pair<const VirtualProcessor*, FlushRequest>> flushes;
    unsigned guest_physical = 0;
    std::function<void(Partition&)> on_guest_physical;
    void flush(VirtualProcessor& target, const FlushRequest& request, sim::Time) override {
        flushes.emplace_back(&target, request);
    }
    void flush_guest_physical(Partition& partition) override {
        ++guest_physical;
        if (on_guest_physical) on_guest_physical(partition);
    }
};

class FakeCpuid final : public HostCpuid {
  public:
    CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) const override {
        switch (leaf) {
            case 0:
                return {0x1f, 0x756e'6547, 0x6c65'746e, 0x4965'6e69};
            case 1:
                return {0x0005'0654, 0x0010'0800, 0x7ffa'fbff, 0xbfeb'fbff};
            case 4:
                return subleaf == 3 ? CpuidResult{0x1c00'4163, 0x03c0'003f, 0x1fff, 4}
                                    : CpuidResult{subleaf < 3 ? 0x1c00'4121u : 0, 0, 0, 0};
            case 7:
                return subleaf == 0 ? CpuidResult{0, 0xffff'ffff, 8, 0x0400'0000} : CpuidResult{};
            case 0xd:
                return subleaf == 0   ? CpuidResult{7, 0x340, 0x340, 0}
                       : subleaf == 2 ? CpuidResult{0x100, 0x240, 0, 0}
                                      : CpuidResult{};
            case 0x8000'0000:
                return {0x8000'0008, 0, 0, 0};
            case 0x8000'0007:
                return {0, 0, 0, 0x100};
            case 0x8000'0008:
                return {0x302e, 0, 0, 0};
            default:
                return {};
        }
    }
};

class FakeProcessors final : public LogicalProcessors {
  public:
    std::uint32_t count() const override { return 4; }
    LpRunTimes run_times(std::uint32_t index, sim::Time) const override {
        return {1000 + index, 100 + index};
    }
};

/// A machine of 64 MiB with a root partition of two processors.
class Machine {
  public:
    static constexpr std::uint64_t kRam = 64u << 20;
    static constexpr std::uint64_t kInput = 0x10'0000, kOutput = 0x10'1000;  // root GPAs
    sim::Ram ram{kRam};
    sim::Recorder recorder;
    FakeWaker waker;
    FakeShootdown shootdown;
    FakeBackend backend;
    FakeCpuid cpuid;
    FakeProcessors processors;
    Hypervisor hypervisor;
    HypercallDispatcher dispatcher{hypervisor};
    sim::Time now = 1 * sim::kSecond;

    explicit Machine(HypervisorConfig config = default_config())
        : hypervisor(config, {ram, recorder, waker, shootdown, backend, cpuid, processors}) {
        for (VpIndex i = 0; i < 2; ++i) {
            if (hypervisor.root().create_vp(i, 0) != HvStatus::success)
                throw std::runtime_error("no root processor");
            context(root_vp(i)).enter_long_mode();
        }
    }
    static HypervisorConfig default_config() {
        HypervisorConfig config;
        config.first_reserved_page = 0x1000;  // at 16 MiB
        config.reserved_pages = 512;
        return config;
    }
    Partition& root() { return hypervisor.root(); }
    VirtualProcessor& root_vp(VpIndex index = 0) { return *hypervisor.root().vp(index); }
    FakeContext& context(VirtualProcessor& vp) { return *backend.contexts.at(&vp); }

    // --- Raw calls ---
    HypercallOutcome raw(VirtualProcessor& vp, std::uint64_t control, std::uint64_t input,
                         std::uint64_t output) {
        FakeContext& c = context(vp);
        c.gprs[kRcx] = control;
        c.gprs[kRdx] = input;
        c.gprs[kR8] = output;
        return dispatcher.dispatch(vp, now);
    }
    static constexpr std::uint64_t control(std::uint16_t code, unsigned reps = 0,
                                           unsigned variable = 0, bool fast = false) {
        return code | std::uint64_t{fast} << 16 | std::uint64_t{variable} << 17 |
               std::uint64_t{reps} << 32;
    }

    // --- Calls of the root with pages at kInput and kOutput ---
    template <typename In>
    HvStatus simple(std::uint16_t code, const In& in, unsigned variable = 0) {
        ram.write(kInput, in);
        return raw(root_vp(), control(code, 0, variable), kInput, kOutput).status;
    }
    template <typename In, typename Out>
    HvStatus simple_out(std::uint16_t code, const In& in, Out& out) {
        const HvStatus status = simple(code, in);
        ram.read(kOutput, out);
        return status;
    }
    /// A rep call to its end; `done`: repetitions completed.
    template <typename In, typename E>
    HvStatus rep(std::uint16_t code, const In& in, std::span<const E> elements, unsigned& done,
                 unsigned count) {
        ram.write(kInput, in);
        for (std::size_t i = 0; i < elements.size(); ++i)
            ram.write(kInput + sizeof(In) + i * sizeof(E), elements[i]);
        HypercallOutcome outcome = raw(root_vp(), control(code, count), kInput, kOutput);
        while (outcome.kind == HypercallOutcome::Kind::continue_later)
            outcome = dispatcher.dispatch(root_vp(), now);
        done = static_cast<unsigned>(
            HypercallResult::RepsCompleted::get(context(root_vp()).gprs[kRax]));
        return outcome.status;
    }
    template <typename In, typename E>
    HvStatus rep(std::uint16_t code, const In& in, const std::vector<E>& elements) {
        unsigned done = 0;
        return rep(code, in, std::span<const E>(elements), done,
                   static_cast<unsigned>(elements.size()));
    }

    // --- Child partitions ---
    std::uint64_t next_deposit = 0x2000;  // root pages from 32 MiB on
    void deposit(PartitionId id, unsigned pages) {
        std::vector<std::uint64_t> list;
        for (unsigned i = 0; i < pages; ++i) list.push_back(next_deposit++);
        if (rep(0x48, hc::PartitionOnly{id}, list) != HvStatus::success)
            throw std::runtime_error("deposit failed");
    }
    /// Active, with `vps` processors in long mode and guest pages 0-255 on root pages 0x800 on.
    Partition& make_child(unsigned vps = 1, std::uint64_t privileges = kGuestPrivileges) {
        hc::PartitionOut created;
        require(simple_out(0x40, hc::CreatePartition{}, created));
        const PartitionId id = created.partition;
        require(simple(0x45, hc::SetProperty{id, 0x1'0000, 0, privileges}));
        deposit(id, 64 + 8 * vps);
        require(simple(0x41, hc::PartitionOnly{id}));
        std::vector<std::uint64_t> pages;
        for (unsigned i = 0; i < kChildPages; ++i) pages.push_back(kChildMemory + i);
        require(rep(0x4b, hc::MapGpa{id, 0, 0xf, 0}, pages));
        for (VpIndex i = 0; i < vps; ++i) {
            require(simple(0x4e, hc::CreateVp{.partition = id, .vp = i}));
            VirtualProcessor& vp = *hypervisor.find(id)->vp(i);
            context(vp).enter_long_mode();
            vp.set_explicit_suspend(false, now);
            vp.apic().set_wait_for_sipi(false);
        }
        return *hypervisor.find(id);
    }
    static constexpr std::uint64_t kChildMemory = 0x800;  // root page number
    static constexpr unsigned kChildPages = 256;
    /// Root physical address of a child's address.
    static constexpr std::uint64_t child(std::uint64_t gpa) { return (kChildMemory << 12) + gpa; }
    static constexpr std::uint64_t kGuestInput = 0x4'0000, kGuestOutput = 0x4'1000;
    /// Identity and hypercall page at guest page 0x50.
    void enable_hypercalls(VirtualProcessor& vp) {
        vp.write_msr(msr::kGuestOsId, 0x8100'0006'0100'0000, now);
        vp.write_msr(msr::kHypercall, 0x5'0001, now);
    }
    template <typename In>
    HypercallOutcome guest_call(VirtualProcessor& vp, std::uint16_t code, const In& in,
                                unsigned reps = 0, unsigned variable = 0) {
        ram.write(child(kGuestInput), in);
        return raw(vp, control(code, reps, variable), kGuestInput, kGuestOutput);
    }
    /// Turns the SynIC on: SIMP at page 0x60, SIEFP at 0x61, SINT2 as given.
    void enable_synic(VirtualProcessor& vp, std::uint64_t sint2 = 0xf3, std::uint64_t base = 0x60) {
        vp.write_msr(msr::kSimp, base << 12 | 1, now);
        vp.write_msr(msr::kSiefp, (base + 1) << 12 | 1, now);
        vp.write_msr(msr::kSint0 + 2, sint2, now);
        vp.write_msr(msr::kScontrol, 1, now);
    }
    /// Software-enables the local APIC, as every kernel does.
    void enable_apic(VirtualProcessor& vp) { vp.mmio_apic_write(0xf0, 4, 0x1ff, now); }
    MessageSlot slot(VirtualProcessor& vp, unsigned sint) {
        MessageSlot value;
        ram.read((vp.pages().simp << 12) + sint * kMessageSize, value);
        return value;
    }
    void clear_slot(VirtualProcessor& vp, unsigned sint) {
        ram.write((vp.pages().simp << 12) + sint * kMessageSize, std::uint32_t{0});
    }
    static void require(HvStatus status) {
        if (status != HvStatus::success) throw std::runtime_error(std::string(status_name(status)));
    }
};

}  // namespace hvsim::hv::test
