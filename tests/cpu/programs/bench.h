#pragma once
// Whole processors for guest programs: core, local APIC and execution engine as in a machine, and a
// bus that notes every access.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cpu/core.h"
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "tests/cpu/programs/elf_program.h"
#include "tests/cpu/programs/layout.h"

namespace hvsim::cpu::programs {

/// Notes every access; reads take their answers from a queue for the address, else all ones.
class RecordingBus final : public Bus {
  public:
    struct Access {
        bool write;
        std::uint64_t address;
        unsigned size;
        std::uint64_t value;  ///< written, or answered
        bool operator==(const Access&) const = default;
    };
    std::vector<Access> ports, memory;
    std::map<std::uint64_t, std::deque<std::uint64_t>> answers;
    std::function<void(std::uint16_t, std::uint32_t)> on_port_write;
    sim::Duration delay_of_each = 0;

    std::uint64_t read_memory(std::uint64_t address, unsigned size, sim::Time,
                              sim::Duration& delay) override {
        delay += delay_of_each;
        memory.push_back({false, address, size, answer(address)});
        return memory.back().value;
    }
    void write_memory(std::uint64_t address, unsigned size, std::uint64_t value, sim::Time,
                      sim::Duration& delay) override {
        delay += delay_of_each;
        memory.push_back({true, address, size, value});
    }
    std::uint32_t read_io(std::uint16_t port, unsigned size, sim::Time,
                          sim::Duration& delay) override {
        delay += delay_of_each;
        ports.push_back({false, port, size, answer(port)});
        return static_cast<std::uint32_t>(ports.back().value);
    }
    void write_io(std::uint16_t port, unsigned size, std::uint32_t value, sim::Time,
                  sim::Duration& delay) override {
        delay += delay_of_each;
        ports.push_back({true, port, size, value});
        if (on_port_write) on_port_write(port, value);
    }

  private:
    std::uint64_t answer(std::uint64_t address) {
        auto& queue = answers[address];
        if (queue.empty()) return ~std::uint64_t{0};
        const std::uint64_t value = queue.front();
        queue.pop_front();
        return value;
    }
};

/// What a handler of machine.inc noted of one exception or interrupt.
struct LoggedEvent {
    std::uint64_t vector, error_code, rip, cs, rflags, rsp, ss, cr2;
    std::uint64_t handler_rflags, frame, handler_cs, handler_ss;
};
static_assert(sizeof(LoggedEvent) == LOG_RECORD);

enum class End { halted, shutdown, time_limit };

struct Options {
    bool real_mode = false;  ///< start at CODE_BASE as after a SIPI, without tables
    std::string model = "intel-skylake";
    unsigned processors = 1;
    sim::TimingProfile timing{};
};

class Machine final : private apic::InterruptFabric, private apic::EoiSink {
  public:
    /// The program in memory, page tables, descriptor tables and handlers of layout.h made, the
    /// first processor in 64-bit mode at `start`; the others wait for SIPI.
    explicit Machine(const std::string& name, const Options& options = {})
        : program(name), timing(options.timing), model_(find_model(options.model)) {
        REQUIRE(model_ != nullptr);
        for (unsigned i = 0; i < options.processors; ++i)
            processors_.push_back(std::make_unique<Processor>(*this, i, options.processors));
        program.load(ram);
        build_page_tables();
        build_descriptors();
        if (options.real_mode) {
            core().start_at_sipi(CODE_BASE >> 12);
        } else {
            build_interrupt_table();
            enter_long_mode(core(), program["start"], STACK);
        }
    }

    /// Another processor begins like the first, at a label and with a stack of its own.
    void start_processor(unsigned index, const std::string& label, std::uint64_t stack) {
        apic(index).set_wait_for_sipi(false);
        enter_long_mode(core(index), program[label], stack);
    }

    /// Runs all processors until they wait for what cannot come, or until `limit`.
    End run(sim::Time limit = sim::kMillisecond) {
        for (;;) {
            Processor* next = nullptr;
            for (const auto& p : processors_)
                if (next == nullptr || p->wake() < next->wake()) next = p.get();
            if (next->wake() == sim::kNever) break;
            if (next->wake() >= limit) return End::time_limit;
            const bool alone = processors_.size() == 1;
            next->run(alone ? limit : std::min(limit, next->wake() + sim::kMicrosecond));
            for (const auto& p : processors_)
                if (p->idle && p->core.memory_wait_is_over()) p->notice(next->now);
        }
        for (const auto& p : processors_)
            if (p->shut_down) return End::shutdown;
        return End::halted;
    }

    Core& core(unsigned index = 0) { return processors_.at(index)->core; }
    apic::LocalApic& apic(unsigned index = 0) { return processors_.at(index)->apic; }
    sim::Time now(unsigned index = 0) const { return processors_.at(index)->now; }
    std::uint64_t gpr(unsigned index) { return core().gpr(index); }

    template <typename T = std::uint64_t>
    T peek(std::uint64_t address) const {
        T value{};
        REQUIRE(ram.read(address, value));
        return value;
    }
    template <typename T = std::uint64_t>
    void poke(std::uint64_t address, std::type_identity_t<T> value) {
        REQUIRE(ram.write<T>(address, value));
    }
    /// Results that programs leave in the array at DATA.
    std::uint64_t result(unsigned index) const { return peek(DATA + 8 * index); }
    std::uint64_t events() const { return peek(LOG); }
    LoggedEvent event(unsigned index) const {
        LoggedEvent record{};
        if (index < events())
            REQUIRE(ram.read(LOG_FIRST + std::uint64_t{index} * LOG_RECORD, record));
        return record;
    }
    /// The log and where the processor stopped, for failures.
    std::string story() {
        std::string text;
        for (unsigned i = 0; i < events(); ++i) {
            const LoggedEvent e = event(i);
            text += fmt::format(
                "{:2}: vector {} error {:#x} RIP {:#x} CS {:#x} RFLAGS {:#x} CR2 "
                "{:#x}\n",
                i, e.vector, e.error_code, e.rip, e.cs, e.rflags, e.cr2);
        }
        return text + fmt::format("stopped at RIP {:#x}, {} ps\n", core().rip(), now());
    }
    void send_nmi(unsigned index = 0) {
        apic::InterruptMessage message;
        message.destination = index;
        message.delivery_mode = apic::DeliveryMode::nmi;
        processors_.at(index)->apic.accept(message, now(index));
        processors_.at(index)->notice(now(index));
    }
    void send_sipi(std::uint8_t vector, unsigned index = 0) {
        apic::InterruptMessage message;
        message.destination = index;
        message.vector = vector;
        message.delivery_mode = apic::DeliveryMode::startup;
        processors_.at(index)->apic.accept(message, now(index));
        processors_.at(index)->notice(now(index));
    }

    sim::Ram ram{RAM_BYTES};
    RecordingBus bus;
    Program program;
    sim::TimingProfile timing;
    sim::Recorder recorder;

  private:
    struct Processor {
        Processor(Machine& machine, unsigned index, unsigned count)
            : apic(apic_config(machine, index), machine, machine),
              core(machine.engines_, machine.ram, machine.bus, machine.clock_, machine.timing,
                   machine.recorder, core_config(machine, index, count), &apic) {
            apic.set_wait_for_sipi(index != 0);
        }
        static apic::LocalApicConfig apic_config(const Machine& machine, unsigned index) {
            apic::LocalApicConfig config;
            config.id = index;
            config.bootstrap_processor = index == 0;
            config.timer_hz = machine.timing.clock_apic_timer_hz;
            config.tsc_hz = machine.timing.clock_tsc_hz;
            return config;
        }
        static CoreConfig core_config(const Machine& machine, unsigned index, unsigned count) {
            CoreConfig config;
            config.model = machine.model_;
            config.apic_id = index;
            config.processor_count = count;
            config.subject.lp = static_cast<std::uint16_t>(index);
            return config;
        }
        sim::Time wake() const {
            if (shut_down) return sim::kNever;
            if (!idle) return now;
            const sim::Time timer = apic.waits_for_sipi()
                                        ? sim::kNever
                                        : std::min(apic.next_deadline(), core.guest_deadline());
            const sim::Time at = std::min(timer, noticed);
            return at == sim::kNever ? at : std::max(at, now);
        }
        void notice(sim::Time at) {
            noticed = std::min(noticed, at);
            if (!core.running()) return;
            if (apic.has_init_pending())
                core.request_stop();
            else
                core.poll_soon();
        }
        void run(sim::Time until) {
            now = wake();
            idle = false;
            noticed = sim::kNever;
            if (apic.has_init_pending()) {
                const InitOutcome outcome = core.on_init();
                if (outcome != InitOutcome::held) apic.take_init();
                if (outcome == InitOutcome::reset) apic.init_reset();
            }
            if (apic.waits_for_sipi()) {
                const auto vector = apic.take_sipi();
                idle = !vector;
                if (idle) return;
                core.on_sipi(*vector);
            }
            const CoreStop stop = core.run(now, until);
            now = core.now();
            idle = stop == CoreStop::halted;
            shut_down = stop == CoreStop::shutdown;
        }

        apic::LocalApic apic;
        Core core;
        sim::Time now = 0, noticed = sim::kNever;
        bool idle = false, shut_down = false;
    };

    void send(const apic::InterruptMessage& message, apic::InterruptSource source,
              sim::Time at) override {
        for (unsigned i = 0; i < processors_.size(); ++i) {
            Processor& target = *processors_[i];
            const bool self = source.id == i;
            const bool addressed = message.shorthand == apic::Shorthand::none
                                       ? target.apic.is_destination(message)
                                       : message.shorthand == apic::Shorthand::all ||
                                             self == (message.shorthand == apic::Shorthand::self);
            if (!addressed) continue;
            target.apic.accept(message, at);
            target.notice(at);
        }
    }
    void broadcast_eoi(std::uint8_t, sim::Time) override {}

    void build_page_tables() {
        constexpr std::uint64_t kTable = 7, kLarge = 0x83;
        poke(PML4, PDPT | kTable);
        poke(PDPT, PD | kTable);
        poke(PDPT + 3 * 8, PD_HIGH | kTable);
        poke(PD, PT | kTable);
        for (std::uint64_t page = 0; page < 512; ++page) poke(PT + page * 8, page << 12 | kTable);
        for (const std::uint64_t at : {std::uint64_t{DEVICE}, std::uint64_t{LOCAL_APIC}})
            poke(PD_HIGH + (at >> 21 & 511) * 8, at | kLarge);
    }

    void build_descriptors() {
        poke(GDT + CODE64, 0x00af9b000000ffff);
        poke(GDT + DATA_FLAT, 0x00cf93000000ffff);
        poke(GDT + USER_CODE32, 0x00cffb000000ffff);
        poke(GDT + USER_DATA, 0x00cff3000000ffff);
        poke(GDT + USER_CODE64, 0x00affb000000ffff);
        poke(GDT + USER_DATA_SYSEXIT, 0x00cff3000000ffff);
        poke(GDT + TASK, 0x0000890000000000 | TSS_LIMIT | std::uint64_t{TSS} << 16);
        poke(GDT + CODE32, 0x00cf9b000000ffff);
        poke(GDT + CODE16, 0x00009b000000ffff);
        poke(GDT + DATA16, 0x000093000000ffff);
        poke(GDT + ABSENT_DATA, 0x00cf13000000ffff);
        poke(GDT + ABSENT_CODE, 0x00af1b000000ffff);
        poke(GDT + READ_ONLY, 0x00cf91000000ffff);
        poke(GDT + CONFORMING, 0x00af9f000000ffff);
        poke(TSS + 4, KERNEL_STACK);
        poke(TSS + 0x24, IST1_STACK);
        poke(TSS + 0x2c, IST2_STACK);
        poke<std::uint16_t>(TSS + 0x66, TSS_IO_BITMAP);
        REQUIRE(ram.fill(TSS + TSS_IO_BITMAP, TSS_LIMIT + 1 - TSS_IO_BITMAP, 0xff));
    }

    void build_interrupt_table() {
        const std::uint64_t stubs = program["stubs"];
        for (std::uint64_t vector = 0; vector < 64; ++vector) {
            const std::uint64_t handler = stubs + vector * 16;
            poke(IDT + vector * 16, handler | CODE64 << 16 | std::uint64_t{0x8e} << 40);
        }
    }

    void enter_long_mode(Core& c, std::uint64_t rip, std::uint64_t stack) {
        c.set_efer(efer::kLME | efer::kLMA | efer::kNXE | efer::kSCE);
        c.set_cr(4, cr4::kPAE | cr4::kPGE | cr4::kOSFXSR | cr4::kOSXMMEXCPT);
        c.set_cr(3, PML4);
        c.set_cr(0, cr0::kPE | cr0::kMP | cr0::kET | cr0::kNE | cr0::kWP | cr0::kPG);
        c.set_segment(SegmentName::cs, {CODE64, ~0u, 0, 0xa09b});
        for (const SegmentName name :
             {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
            c.set_segment(name, {DATA_FLAT, ~0u, 0, 0xc093});
        c.set_segment(SegmentName::tr, {TASK, TSS_LIMIT, TSS, 0x8b});
        c.set_segment(SegmentName::ldtr, {0, 0, 0, 0x10000});
        c.set_gdtr({GDT, GDT_LIMIT});
        c.set_idtr({IDT, IDT_LIMIT});
        c.set_rflags(rflags::kReserved1);
        c.set_gpr(engine::kRsp, stack);
        c.set_rip(rip);
        poke(GDT + TASK + 5, peek<std::uint8_t>(GDT + TASK + 5) | 2u);
    }

    const Model* model_;
    SharedClock clock_;
    cpu::engine::EngineGroup engines_{ram, 8 << 20};
    std::vector<std::unique_ptr<Processor>> processors_;
};

/// One exception that a program provokes at `label` with its TRY macro.
struct Fault {
    std::string label;
    std::uint8_t vector;
    std::uint64_t error_code = 0;
    std::uint64_t rip = 0;  ///< where it is not on its instruction
};

/// The log holds exactly `faults`, in their order, each on its instruction.
inline void check_faults(Machine& m, const std::vector<Fault>& faults) {
    INFO(m.story());
    CHECK(m.events() == faults.size());
    for (unsigned i = 0; i < faults.size(); ++i) {
        const LoggedEvent event = m.event(i);
        CAPTURE(faults[i].label);
        CHECK(event.vector == faults[i].vector);
        CHECK(event.error_code == faults[i].error_code);
        CHECK(event.rip == (faults[i].rip != 0 ? faults[i].rip : m.program[faults[i].label]));
    }
}

}  // namespace hvsim::cpu::programs
