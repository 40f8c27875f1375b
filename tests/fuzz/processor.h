#pragma once
// A processor whose program is a host of a hostile control block: code, page tables and descriptor
// tables in 1 MiB of memory, a bus that answers with ones.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "cpu/core.h"
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "sim/error.h"

namespace hvsim::fuzz {

class Nobody final : public cpu::Bus {
  public:
    std::uint64_t read_memory(std::uint64_t, unsigned, sim::Time, sim::Duration&) override {
        return ~std::uint64_t{0};
    }
    void write_memory(std::uint64_t, unsigned, std::uint64_t, sim::Time, sim::Duration&) override {}
    std::uint32_t read_io(std::uint16_t, unsigned, sim::Time, sim::Duration&) override {
        return ~std::uint32_t{0};
    }
    void write_io(std::uint16_t, unsigned, std::uint32_t, sim::Time, sim::Duration&) override {}
};

/// The processor in 64-bit mode at kHostCode, memory one to one.
class Processor final : private apic::InterruptFabric, private apic::EoiSink {
  public:
    static constexpr std::uint64_t kPml4 = 0x1000, kPdpt = 0x2000, kPd = 0x3000, kGdt = 0x4000,
                                   kTss = 0x5000, kIdt = 0x6000, kHostCode = 0x8000,
                                   kHandler = 0x8800, kGuestCode = 0x9000, kStack = 0xf000,
                                   kGuestStack = 0x11000, kControlBlock = 0x20000,
                                   kSecondBlock = 0x21000, kPages = 0x30000;
    static constexpr std::uint16_t kCode = 0x08, kData = 0x10, kTask = 0x18;
    static constexpr std::uint32_t kTableLimit = 0xfff;
    static constexpr std::uint32_t kEntries = 8;                ///< of the guest, at most
    static constexpr sim::Time kLimit = 5 * sim::kMicrosecond;  ///< of a run

    explicit Processor(const char* model)
        : apic_(apic_config(timing_), *this, *this),
          core(engines_, ram, bus_, clock_, timing_, recorder, config(model), &apic_) {
        build_tables();
        enter_long_mode();
    }

    void code(std::uint64_t address, std::span<const std::uint8_t> bytes) {
        SIM_ASSERT(ram.write_bytes(address, bytes));
    }
    /// Runs as a whole processor until `limit`, or until only an interrupt could go on.
    void run(sim::Time limit) {
        sim::Time now = 0;
        for (unsigned round = 0; now < limit && round < 256; ++round) {
            if (apic_.has_init_pending()) {
                const cpu::InitOutcome outcome = core.on_init();
                if (outcome != cpu::InitOutcome::held) apic_.take_init();
                if (outcome == cpu::InitOutcome::reset) apic_.init_reset();
            }
            if (apic_.waits_for_sipi()) {
                const auto vector = apic_.take_sipi();
                if (!vector) return;
                core.on_sipi(*vector);
            }
            const cpu::CoreStop stop = core.run(now, limit);
            now = core.now();
            if (stop == cpu::CoreStop::shutdown) return;
            if (stop != cpu::CoreStop::halted) continue;
            const sim::Time wake = std::min(apic_.next_deadline(), core.guest_deadline());
            if (wake >= limit) return;
            now = std::max(now, wake);
        }
    }
    /// A digest of everything that the program could see.
    std::string state() {
        sim::Digest digest;
        digest.add_bytes(ram.data(), ram.size());
        for (unsigned i = 0; i < 16; ++i) digest.add(core.gpr(i));
        digest.add(core.rip());
        digest.add(core.rflags());
        for (const unsigned i : {0u, 2u, 3u, 4u}) digest.add(core.cr(i));
        digest.add(core.efer());
        digest.add(static_cast<std::uint64_t>(core.activity()));
        digest.add(core.now());
        return digest.hex() + recorder.digest().hex();
    }

    sim::Ram ram{1 << 20};
    sim::Recorder recorder;

  private:
    /// Nothing is free: a storm of faults, which executes no code, comes to an end, too.
    static sim::TimingProfile costs() {
        sim::TimingProfile made;
#define HVSIM_COST(field, section, key, kind, value, text) \
    if (made.field == 0) made.field = 10 * sim::kNanosecond;
        HVSIM_TIMINGS(HVSIM_COST)
#undef HVSIM_COST
        return made;
    }
    static apic::LocalApicConfig apic_config(const sim::TimingProfile& timing) {
        apic::LocalApicConfig made;
        made.bootstrap_processor = true;
        made.timer_hz = timing.clock_apic_timer_hz;
        made.tsc_hz = timing.clock_tsc_hz;
        return made;
    }
    static cpu::CoreConfig config(const char* model) {
        cpu::CoreConfig made;
        made.model = cpu::find_model(model);
        SIM_ASSERT(made.model != nullptr);
        return made;
    }
    void send(const apic::InterruptMessage& message, apic::InterruptSource source,
              sim::Time at) override {
        const bool self =
            message.shorthand == apic::Shorthand::self || message.shorthand == apic::Shorthand::all;
        if (message.shorthand == apic::Shorthand::none ? !apic_.is_destination(message) : !self)
            return;
        static_cast<void>(source);
        apic_.accept(message, at);
        if (!core.running()) return;
        if (apic_.has_init_pending())
            core.request_stop();
        else
            core.poll_soon();
    }
    void broadcast_eoi(std::uint8_t, sim::Time) override {}

    void build_tables() {
        const auto poke = [this](std::uint64_t at, std::uint64_t value) { ram.write(at, value); };
        poke(kPml4, kPdpt | 7);
        poke(kPdpt, kPd | 7);
        poke(kPd, 0x87);
        poke(kPd + 8, 0x200087);
        poke(kGdt + kCode, 0x00af9b000000ffff);
        poke(kGdt + kData, 0x00cf93000000ffff);
        poke(kGdt + kTask, 0x00008b0000000067 | kTss << 16);
        poke(kTss + 4, kStack - 0x800);
        for (std::uint64_t vector = 0; vector < 256; ++vector)
            poke(kIdt + vector * 16, kHandler | std::uint64_t{kCode} << 16 | 0x8e0000000000);
        ram.write(kHandler, std::uint8_t{0xf4});  // HLT
    }
    void enter_long_mode() {
        using namespace cpu;
        core.set_efer(efer::kLME | efer::kLMA | efer::kNXE | efer::kSCE);
        core.set_cr(4, cr4::kPAE | cr4::kOSFXSR);
        core.set_cr(3, kPml4);
        core.set_cr(0, cr0::kPE | cr0::kMP | cr0::kET | cr0::kNE | cr0::kWP | cr0::kPG);
        core.set_segment(SegmentName::cs, {kCode, ~0u, 0, 0xa09b});
        for (const SegmentName name :
             {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
            core.set_segment(name, {kData, ~0u, 0, 0xc093});
        core.set_segment(SegmentName::tr, {kTask, 0x67, kTss, 0x8b});
        core.set_segment(SegmentName::ldtr, {0, 0, 0, 0x10000});
        core.set_gdtr({kGdt, kTableLimit});
        core.set_idtr({kIdt, kTableLimit});
        core.set_rflags(rflags::kReserved1);
        core.set_gpr(engine::kRsp, kStack);
        core.set_rip(kHostCode);
    }

    Nobody bus_;
    sim::TimingProfile timing_ = costs();
    cpu::SharedClock clock_;
    cpu::engine::EngineGroup engines_{ram, 2 << 20};
    apic::LocalApic apic_;

  public:
    cpu::Core core;
};

}  // namespace hvsim::fuzz

/// Unicorn 2.1 loses some small arrays with each engine that is closed; there is one engine a run.
extern "C" __attribute__((used)) inline const char* __lsan_default_suppressions() {
    return "leak:g_array_new\n";
}
extern "C" __attribute__((used)) inline const char* __lsan_default_options() {
    return "print_suppressions=0";
}
