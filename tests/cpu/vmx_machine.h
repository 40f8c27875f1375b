#pragma once
// A VMCS on a processor without code: register file, local APIC and memory are real, the software
// on both sides of VM entry is the test.
#include <doctest/doctest.h>

#include <initializer_list>
#include <utility>

#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/native_core.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/guest.h"

namespace hvsim::cpu::vmx::test {

struct NoBus final : Bus {
    std::uint64_t read_memory(std::uint64_t, unsigned, sim::Time, sim::Duration&) override {
        return 0;
    }
    void write_memory(std::uint64_t, unsigned, std::uint64_t, sim::Time, sim::Duration&) override {}
    std::uint32_t read_io(std::uint16_t, unsigned, sim::Time, sim::Duration&) override { return 0; }
    void write_io(std::uint16_t, unsigned, std::uint32_t, sim::Time, sim::Duration&) override {}
};

struct NoFabric final : apic::InterruptFabric, apic::EoiSink {
    void send(const apic::InterruptMessage&, apic::InterruptSource, sim::Time) override {}
    void broadcast_eoi(std::uint8_t, sim::Time) override {}
};

/// Counts exits and never enters again.
struct CountingHost final : HostSoftware {
    unsigned exits = 0;
    bool on_vm_exit(ExecutionCore&) override {
        ++exits;
        return false;
    }
};

using Fields = std::initializer_list<std::pair<Field, std::uint64_t>>;

inline constexpr std::uint64_t kIoBitmapA = 0x2000, kIoBitmapB = 0x3000, kMsrBitmaps = 0x4000;

struct VmxMachine {
    VmxMachine()
        : core(ram, bus, timing, recorder, {}),
          apic({}, fabric, fabric),
          guest(0x1000, core, host) {
        core.set_local_apic(&apic);
        apic.mmio_write(0xf0, 4, 0x1ff, 0);
        write_controls();
        write_host();
        write_guest();
    }

    void set(Fields fields) {
        for (const auto& [field, value] : fields) guest.write(field, value);
    }
    std::uint64_t operator[](Field field) const { return guest.read(field); }
    void launch() { REQUIRE(guest.enter(true).entered()); }
    void resume() { REQUIRE(guest.enter(false).entered()); }
    bool exit(const Action& action, const Event* vectoring = nullptr) {
        return guest.exit(action, vectoring);
    }
    /// Whether an action exits, entering with `fields` changed.
    bool intercepts(const Action& action, Fields fields) {
        Action leave;
        leave.kind = ActionKind::cpuid;
        if (launched) exit(leave);
        set(fields);
        REQUIRE(guest.enter(!launched).entered());
        launched = true;
        return guest.intercepts(action);
    }

    void write_controls() {
        set({{Field::PIN_BASED_CONTROLS, kPinControls.must_be_one | pin::kExternalInterruptExiting |
                                             pin::kNmiExiting | pin::kVirtualNmis},
             {Field::PRIMARY_CONTROLS, kPrimaryControls.must_be_one | primary::kIoBitmaps |
                                           primary::kMsrBitmaps | primary::kSecondaryControls},
             {Field::SECONDARY_CONTROLS,
              secondary::kEpt | secondary::kVpid | secondary::kUnrestrictedGuest},
             {Field::EXIT_CONTROLS, kExitControls.must_be_one | exit_control::kHostAddressSpace64 |
                                        exit_control::kAcknowledgeInterrupt |
                                        exit_control::kLoadPat | exit_control::kLoadEfer},
             {Field::ENTRY_CONTROLS,
              kEntryControls.must_be_one | entry_control::kLoadDebugControls |
                  entry_control::kIa32eGuest | entry_control::kLoadPat | entry_control::kLoadEfer},
             {Field::EPT_POINTER, 0x501e},
             {Field::VPID, 1},
             {Field::IO_BITMAP_A, kIoBitmapA},
             {Field::IO_BITMAP_B, kIoBitmapB},
             {Field::MSR_BITMAPS, kMsrBitmaps}});
    }
    void write_host() {
        set({{Field::HOST_CR0, kCr0Fixed0},
             {Field::HOST_CR4, kCr4Fixed0 | cr4::kPAE},
             {Field::HOST_CS_SELECTOR, 0x10},
             {Field::HOST_TR_SELECTOR, 0x40},
             {Field::HOST_RIP, 0xfffff80000001000},
             {Field::HOST_PAT, kPatReset},
             {Field::HOST_EFER, efer::kLME | efer::kLMA}});
    }
    void write_guest() {
        set({{Field::GUEST_CR0, kCr0Fixed0 | cr0::kET},
             {Field::GUEST_CR4, kCr4Fixed0 | cr4::kPAE},
             {Field::GUEST_EFER, efer::kLME | efer::kLMA},
             {Field::GUEST_PAT, kPatReset},
             {Field::GUEST_DR7, 0x400},
             {Field::GUEST_RIP, 0x8000},
             {Field::GUEST_RFLAGS, 2},
             {Field::VMCS_LINK_POINTER, ~std::uint64_t{0}},
             {Field::GUEST_CS_SELECTOR, 0x10},
             {Field::GUEST_CS_LIMIT, 0xffffffff},
             {Field::GUEST_CS_ACCESS_RIGHTS, 0xa09b},
             {Field::GUEST_TR_SELECTOR, 0x40},
             {Field::GUEST_TR_LIMIT, 0x67},
             {Field::GUEST_TR_ACCESS_RIGHTS, 0x8b},
             {Field::GUEST_LDTR_ACCESS_RIGHTS, 0x10000}});
        for (unsigned i : {0u, 2u, 3u, 4u, 5u}) {
            guest.write(nth(Field::GUEST_ES_SELECTOR, i), 0x18);
            guest.write(nth(Field::GUEST_ES_LIMIT, i), 0xffffffff);
            guest.write(nth(Field::GUEST_ES_ACCESS_RIGHTS, i), 0xc093);
        }
    }
    static Field nth(Field first, unsigned index) {
        return static_cast<Field>(static_cast<unsigned>(first) + 2 * index);
    }

    sim::Ram ram{1 << 20};
    NoBus bus;
    NoFabric fabric;
    sim::TimingProfile timing;
    sim::Recorder recorder;
    CountingHost host;
    NativeCore core;
    apic::LocalApic apic;
    Guest guest;
    bool launched = false;
};

}  // namespace hvsim::cpu::vmx::test
