// AMD-V guests on an execution engine: real instructions, nested tables in memory, interrupts
// through the guest's IDT.
#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "cpu/core.h"
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/svm/guest.h"
#include "tests/cpu/engine/machine.h"

using namespace hvsim;
using namespace hvsim::cpu;
using namespace hvsim::cpu::svm;

namespace {

GUEST_CODE(svm_reader, R"(
1:
    mov rax, [0x8000]
    vmmcall
    jmp 1b
)");
GUEST_CODE(svm_instructions, R"(
    mov eax, 7
    cpuid
    mov dx, 0x3f8
    mov al, 0x41
    out dx, al
    mov ecx, 0xc0000080
    rdmsr
    mov r9, cr8
    mov cr8, r10
    int3
    hlt
    vmmcall
)");
GUEST_CODE(svm_faults, R"(
    mov qword ptr [0xa000], rbx
    vmmcall
)");
GUEST_CODE(svm_window, R"(
    vmmcall
    sti
    nop
    nop
    vmmcall
2:
    mov r8, 0x5a5a
    vmmcall
)");
GUEST_CODE(svm_counter, R"(
1:
    vmmcall
    jmp 1b
)");

struct NoBus final : Bus {
    std::uint64_t read_memory(std::uint64_t, unsigned, sim::Time, sim::Duration&) override {
        return ~std::uint64_t{0};
    }
    void write_memory(std::uint64_t, unsigned, std::uint64_t, sim::Time, sim::Duration&) override {}
    std::uint32_t read_io(std::uint16_t, unsigned, sim::Time, sim::Duration&) override {
        return ~0u;
    }
    void write_io(std::uint16_t, unsigned, std::uint32_t, sim::Time, sim::Duration&) override {}
};

constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kAll = kPresent | kWritable | kUser;
// System-physical.
constexpr std::uint64_t kVmcb = 0x1000, kMsrMap = 0x2000, kIoMap = 0x4000, kNested = 0x8000,
                        kGuestMemory = 0x10'0000;
// Guest-physical.
constexpr std::uint64_t kGuestTables = 0x1000, kIdt = 0x5000, kStack = 0x7000, kData = 0x8000,
                        kCode = 0x9000;

/// 64 KiB of guest memory, mapped one to one by the guest's tables, page by page by nested ones.
class Machine final : public HostSoftware {
  public:
    explicit Machine(std::span<const std::uint8_t> code) {
        write_tables();
        ram.write_bytes(kGuestMemory + kCode, code);
        write_controls();
        write_state();
    }

    template <typename T>
    T get(FieldAt<T> field) const {
        return guest.vmcb().get(field);
    }
    template <typename T>
    void put(FieldAt<T> field, std::type_identity_t<T> value) {
        guest.vmcb().set(field, value);
    }
    std::uint64_t nested_entry(std::uint64_t gpa) const { return kNested + 0x3000 + gpa / 512; }
    void map(std::uint64_t gpa, std::uint64_t spa, std::uint64_t flags = kAll) {
        ram.write(nested_entry(gpa), spa | flags);
    }
    void skip() { put(vmcb::RIP, get(vmcb::NRIP)); }
    /// VMRUN, then execution until an exit that `handler` does not follow with an entry.
    std::uint64_t run() {
        REQUIRE(guest.vmrun().entered());
        REQUIRE(core.run(core.now(), sim::kSecond) == CoreStop::left_guest);
        return get(vmcb::EXITCODE);
    }

    bool on_vm_exit(ExecutionCore&) override {
        ++exits;
        return handler && handler();
    }

    sim::Ram ram{0x20'0000};
    NoBus bus;
    SharedClock clock;
    sim::TimingProfile timing;
    sim::Recorder recorder;
    engine::EngineGroup engines{ram, 4 << 20};
    Core core{engines, ram, bus, clock, timing, recorder, config(), nullptr};
    std::uint64_t exits = 0;
    std::function<bool()> handler;
    Guest guest{kVmcb, core, *this};

  private:
    static CoreConfig config() {
        CoreConfig result;
        result.model = find_model("amd-rome");
        return result;
    }
    void write_tables() {
        ram.write(kNested, (kNested + 0x1000) | kAll);
        ram.write(kNested + 0x1000, (kNested + 0x2000) | kAll);
        ram.write(kNested + 0x2000, (kNested + 0x3000) | kAll);
        for (std::uint64_t gpa = 0; gpa < 0x1'0000; gpa += 4096) map(gpa, kGuestMemory + gpa);
        const std::uint64_t tables = kGuestMemory + kGuestTables;
        ram.write(tables, (kGuestTables + 0x1000) | kAll);
        ram.write(tables + 0x1000, (kGuestTables + 0x2000) | kAll);
        ram.write(tables + 0x2000, (kGuestTables + 0x3000) | kAll);
        for (std::uint64_t page = 0; page < 32; ++page)
            ram.write(tables + 0x3000 + 8 * page, page << 12 | kAll);
    }
    void write_controls() {
        ram.fill(kMsrMap, kMsrpmBytes, 0xff);
        ram.fill(kIoMap, kIopmBytes, 0xff);
        std::array<std::uint32_t, 3> words{};
        for (const ExitCode code : {ExitCode::CPUID, ExitCode::HLT, ExitCode::IOIO, ExitCode::MSR,
                                    ExitCode::VMRUN, ExitCode::VMMCALL, ExitCode::VINTR})
            words[intercept_word(code)] |= intercept_mask(code);
        put(vmcb::INTERCEPT_MISC1, words[0]);
        put(vmcb::INTERCEPT_MISC2, words[1]);
        put(vmcb::INTERCEPT_EXCEPTIONS, 1u << kBP);
        put(vmcb::IOPM_BASE_PA, kIoMap);
        put(vmcb::MSRPM_BASE_PA, kMsrMap);
        put(vmcb::GUEST_ASID, 1);
        put(vmcb::NESTED_CONTROL, 1);
        put(vmcb::N_CR3, kNested);
        put(vmcb::G_PAT, kPatReset);
    }
    void write_state() {
        put(vmcb::EFER, efer::kSVME | efer::kLME);
        put(vmcb::CR0, cr0::kPE | cr0::kPG | cr0::kET | cr0::kWP);
        put(vmcb::CR4, cr4::kPAE);
        put(vmcb::CR3, kGuestTables);
        put(vmcb::CS_SELECTOR, 8);
        put(vmcb::CS_ATTRIB, 0xa9b);
        put(vmcb::CS_LIMIT, 0xffffffff);
        for (const auto& [selector, attrib, limit] :
             {std::tuple(vmcb::SS_SELECTOR, vmcb::SS_ATTRIB, vmcb::SS_LIMIT),
              std::tuple(vmcb::DS_SELECTOR, vmcb::DS_ATTRIB, vmcb::DS_LIMIT)}) {
            put(selector, 0x10);
            put(attrib, 0xc93);
            put(limit, 0xffffffff);
        }
        put(vmcb::RFLAGS, 2);
        put(vmcb::RIP, kCode);
        put(vmcb::RSP, kStack);
        put(vmcb::DR6, 0xffff0ff0);
        put(vmcb::DR7, 0x400);
        // A GDT with the code segment, behind the IDT.
        constexpr std::uint64_t kGdt = kIdt + 0x800;
        ram.write(kGuestMemory + kGdt + 8, std::uint64_t{0x00af'9b00'0000'ffff});
        ram.write(kGuestMemory + kGdt + 16, std::uint64_t{0x00cf'9300'0000'ffff});
        put(vmcb::GDTR_BASE, kGdt);
        put(vmcb::GDTR_LIMIT, 0x17);
        put(vmcb::IDTR_BASE, kIdt);
        put(vmcb::IDTR_LIMIT, 0x7ff);
    }
};

}  // namespace

TEST_CASE("a nested entry flipped behind the processor's back counts after TLB_CONTROL") {
    Machine m(CODE_OF(svm_reader));
    constexpr std::uint64_t kOther = 0x18'0000;
    m.ram.write(kGuestMemory + kData, std::uint64_t{0x1111});
    m.ram.write(kOther, std::uint64_t{0x2222});
    REQUIRE(m.run() == 0x81);
    CHECK(m.get(vmcb::RAX) == 0x1111);
    m.map(kData, kOther);
    for (int i = 0; i < 3; ++i) {
        m.skip();
        REQUIRE(m.run() == 0x81);
        CHECK(m.get(vmcb::RAX) == 0x1111);
    }
    m.skip();
    m.put(vmcb::TLB_CONTROL, tlb_control::kFlushAsid);
    REQUIRE(m.run() == 0x81);
    CHECK(m.get(vmcb::RAX) == 0x2222);
    // The walk set the nested entry's A bit.
    std::uint64_t entry = 0;
    m.ram.read(m.nested_entry(kData), entry);
    CHECK((entry & 0x20) != 0);
}

TEST_CASE("instructions exit with exact state") {
    Machine m(CODE_OF(svm_instructions));
    REQUIRE(m.run() == 0x72);
    CHECK(m.get(vmcb::RAX) == 7);
    CHECK(m.get(vmcb::NRIP) - m.get(vmcb::RIP) == 2);
    m.skip();
    REQUIRE(m.run() == 0x7b);
    CHECK(m.get(vmcb::EXITINFO1) == 0x03f8'0010);
    CHECK((m.get(vmcb::RAX) & 0xff) == 0x41);
    CHECK(m.get(vmcb::EXITINFO2) == m.get(vmcb::RIP) + 1);
    m.skip();
    REQUIRE(m.run() == 0x7c);
    CHECK(m.get(vmcb::EXITINFO1) == 0);
    CHECK(m.core.gpr(engine::kRcx) == 0xc0000080);
    m.skip();
    // CR8 is the virtual TPR.
    m.put(vmcb::VINTR, vintr::V_INTR_MASKING::kMask | 4);
    m.core.set_gpr(10, 9);
    REQUIRE(m.run() == 0x43);
    CHECK(m.core.gpr(9) == 4);
    CHECK(vintr::V_TPR::get(m.get(vmcb::VINTR)) == 9);
    CHECK(m.get(vmcb::NRIP) - m.get(vmcb::RIP) == 1);
    m.skip();
    REQUIRE(m.run() == 0x78);
    CHECK(m.exits == 5);
    CHECK((m.get(vmcb::EFER) & efer::kLMA) != 0);
}

TEST_CASE("a nested page fault tells address, access and instruction") {
    Machine m(CODE_OF(svm_faults));
    m.core.set_gpr(engine::kRbx, 0x77);
    m.map(0xa000, 0, 0);
    REQUIRE(m.run() == 0x400);
    CHECK(m.get(vmcb::EXITINFO1) == 0x1'0000'0006);  // a write of the final address, as user
    CHECK((m.get(vmcb::EXITINFO2) & ~0xfffull) == 0xa000);
    CHECK(m.get(vmcb::RIP) == kCode);
    CHECK(m.get(vmcb::INSTRUCTION_BYTE_COUNT) == 15);
    const std::span<const std::uint8_t> code = CODE_OF(svm_faults);
    std::array<std::uint8_t, 8> bytes{};
    m.ram.read_bytes(kVmcb + kInstructionBytes, bytes);
    CHECK(std::memcmp(bytes.data(), code.data(), bytes.size()) == 0);
    // Mapped, without a flush: a fault leaves nothing behind.
    m.map(0xa000, kGuestMemory + 0xa000);
    REQUIRE(m.run() == 0x81);
    std::uint64_t stored = 0;
    m.ram.read(kGuestMemory + 0xa000, stored);
    CHECK(stored == 0x77);
}

TEST_CASE("VINTR exits when the guest opens its interrupts; the injected one runs its handler") {
    Machine m(CODE_OF(svm_window));
    const std::uint64_t handler = kCode + CODE_OF(svm_window).size() - 10;
    // Gate of vector 0x30: interrupt gate, present, selector 8.
    m.ram.write(kGuestMemory + kIdt + 0x300, std::uint64_t{0x8e00'0008'0000} | handler);
    REQUIRE(m.run() == 0x81);
    m.skip();
    m.put(vmcb::VINTR, vintr::V_IRQ::kMask | vintr::V_IGN_TPR::kMask);
    REQUIRE(m.run() == 0x64);
    CHECK(m.get(vmcb::RIP) == kCode + 5);  // STI holds off until NOP has run
    CHECK((m.get(vmcb::RFLAGS) & rflags::kIF) != 0);
    CHECK(m.get(vmcb::INTERRUPT_SHADOW) == 0);
    SUBCASE("by EVENTINJ") {
        m.put(vmcb::VINTR, 0);
        m.put(vmcb::EVENTINJ, 1u << 31 | 0x30);
    }
    SUBCASE("as a virtual interrupt that is not intercepted") {
        m.put(vmcb::INTERCEPT_MISC1,
              m.get(vmcb::INTERCEPT_MISC1) & ~intercept_mask(ExitCode::VINTR));
        m.put(vmcb::VINTR, vintr::V_IRQ::kMask | vintr::V_IGN_TPR::kMask |
                               vintr::V_INTR_VECTOR::set(0ull, 0x30));
    }
    REQUIRE(m.run() == 0x81);
    CHECK(m.core.gpr(8) == 0x5a5a);
    CHECK((m.get(vmcb::RFLAGS) & rflags::kIF) == 0);
    CHECK_FALSE(vintr::V_IRQ::test(m.get(vmcb::VINTR)));
    CHECK_FALSE(event::V::test(m.get(vmcb::EVENTINJ)));
    std::uint64_t pushed = 0;
    m.ram.read(kGuestMemory + m.get(vmcb::RSP), pushed);
    CHECK(pushed == kCode + 5);
}

TEST_CASE("delivery that meets a nested fault names its event in EXITINTINFO") {
    Machine m(CODE_OF(svm_window));
    m.map(kIdt, 0, 0);
    m.put(vmcb::EVENTINJ, 1u << 31 | 0x30);
    REQUIRE(m.run() == 0x400);
    CHECK(m.get(vmcb::EXITINTINFO) == 0x8000'0030);
    CHECK((m.get(vmcb::EXITINFO2) & ~0xfffull) == kIdt);
    CHECK_FALSE(event::V::test(m.get(vmcb::EVENTINJ)));
}

TEST_CASE("many round trips, entered again inside the exit") {
    Machine m(CODE_OF(svm_counter));
    constexpr std::uint64_t kTrips = 20'000;
    m.handler = [&m] {
        if (m.get(vmcb::EXITCODE) != 0x81 || m.exits == kTrips) return false;
        m.skip();
        m.put(vmcb::RAX, m.exits);
        return m.guest.vmrun().entered();
    };
    CHECK(m.run() == 0x81);
    CHECK(m.exits == kTrips);
    CHECK(m.get(vmcb::RAX) == kTrips - 1);
    CHECK(m.recorder.count(sim::EventKind::kVmExit) == kTrips);
}
