// Processor modes, shadows and single-stepping.
#include <doctest/doctest.h>

#include "tests/cpu/engine/machine.h"

using namespace hvsim::cpu::engine;
using namespace hvsim::cpu::engine::test;

// From real mode to 32-bit protected mode to long mode, compatibility mode and back to 64-bit mode;
// put at 0x1100. Selectors: 8 = 32-bit code, 16 = data, 24 = 64-bit code, 32 = 16-bit code.
GUEST_CODE(mode_switch, R"(
.code16
    mov ax, 0x100
    mov ds, ax
    mov word ptr [0x10], 0x1234         /* linear 0x1010 */
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7000
    push 0x4321
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea                    /* ljmp 8:protected */
    .long mode_protected - mode_switch_begin + 0x1100
    .word 8
.code32
mode_protected:
    mov ax, 16
    mov ds, ax
    mov ss, ax
    mov es, ax
    mov esp, 0x6800
    mov dword ptr ds:[0x8004], 0x11223344
    push 0x55667788
    .byte 0xea                          /* through 16-bit protected code and back */
    .long mode_protected16 - mode_switch_begin + 0x1100
    .word 32
.code16
mode_protected16:
    mov word ptr ds:[0x8014], 0x1616
    push 0x2222
    .byte 0x66, 0xea
    .long mode_protected_again - mode_switch_begin + 0x1100
    .word 8
.code32
mode_protected_again:
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov ecx, 0xc0000080
    mov eax, 0x100
    xor edx, edx
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov dword ptr ds:[0x8018], 0x18181818   /* compatibility mode */
    .byte 0xea
    .long mode_long - mode_switch_begin + 0x1100
    .word 24
.code64
mode_long:
    movabs rax, 0x1122334455667788
    mov qword ptr [0x8008], rax
    mov rsp, 0x6000
    push 8
    lea rbx, [rip + mode_compatibility]
    push rbx
    .byte 0x48, 0xcb                          /* lretq */
.code32
mode_compatibility:
    mov eax, 0xffffffff
    inc eax                             /* 0x40: INC here, a REX prefix in 64-bit mode */
    mov dword ptr ds:[0x8010], eax
    .byte 0xea
    .long mode_end - mode_switch_begin + 0x1100
    .word 24
.code64
mode_end:
    hlt
)");

namespace {

/// Performs control-register and EFER writes as a processor does, and leaves far jumps, none of
/// which names a task, to the library.
void emulate_control_writes(Machine& m) {
    m.processor.handle = [&m](const Intercept& i) {
        Engine& e = m.engine;
        const auto code = static_cast<std::uint32_t>(i.code);
        if (code >= 0x10 && code <= 0x18) {
            const auto modrm = m.peek<std::uint8_t>(e.segment(SegmentName::cs).base + e.rip() + 2);
            e.set_cr(code - 0x10, e.gpr(modrm & 7) & 0xffffffff);
            e.set_rip(e.rip() + 3);
            e.flush_tlb();
            return true;
        }
        if (i.code == InterceptCode::msr && i.error_code == 1) {
            e.set_efer(e.gpr(kRax) & 0xffffffff);
            e.set_rip(e.rip() + 2);
            return true;
        }
        if (i.code == InterceptCode::far_jump) {
            e.pass_far_transfer();
            return true;
        }
        return false;
    };
}

}  // namespace

TEST_CASE("one guest program runs from real mode through every mode to 64-bit mode") {
    Machine m;
    emulate_control_writes(m);
    m.ram.write<std::uint64_t>(0x9008, 0x00cf9b000000ffff);
    m.ram.write<std::uint64_t>(0x9010, 0x00cf93000000ffff);
    m.ram.write<std::uint64_t>(0x9018, 0x00af9b000000ffff);
    m.ram.write<std::uint64_t>(0x9020, 0x000f9b000000ffff);
    m.put(0x1100, CODE_OF(mode_switch));

    Engine& e = m.engine;
    e.set_cr(0, 0x60000010);
    e.set_cr(4, 0);
    e.set_efer(0);
    e.set_gdtr({0x9000, 0x27});
    for (const SegmentName name :
         {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
        e.set_segment(name, {0, 0xffff, 0, 0x93});
    e.set_segment(SegmentName::cs, {0x110, 0xffff, 0x1100, 0x9b});
    e.flush_tlb();
    CHECK(e.cpl() == 0);
    m.run_from(0);
    REQUIRE(m.last().code == InterceptCode::hlt);
    // Those of protected mode were asked about, each once.
    std::vector<std::uint16_t> jumps;
    for (const Intercept& i : m.processor.seen)
        if (i.code == InterceptCode::far_jump) jumps.push_back(i.far.selector);
    REQUIRE(jumps.size() >= 3);
    CHECK(jumps[0] == 8);
    CHECK(jumps[1] == 32);
    CHECK(jumps[2] == 8);
    CHECK(m.peek<std::uint16_t>(0x1010) == 0x1234);
    CHECK(m.peek<std::uint16_t>(0x6ffe) == 0x4321);
    CHECK(m.peek<std::uint32_t>(0x8004) == 0x11223344);
    CHECK(m.peek<std::uint16_t>(0x8014) == 0x1616);
    CHECK(m.peek<std::uint32_t>(0x8018) == 0x18181818);
    CHECK(m.peek<std::uint64_t>(0x8008) == 0x1122334455667788);
    CHECK(m.peek<std::uint32_t>(0x8010) == 0);
    CHECK((e.efer() & 0x500) == 0x500);
    CHECK(e.segment(SegmentName::cs).selector == 24);
    CHECK(e.segment(SegmentName::cs).access_rights == 0xa09b);
    CHECK(m.engine.rip() == 0x1100 + CODE_OF(mode_switch).size() - 1);
}

TEST_CASE("virtual-8086 mode runs at CPL 3 with real-mode addressing") {
    Machine m;
    Engine& e = m.engine;
    e.set_cr(0, 0x11);
    e.set_cr(4, 0);
    e.set_efer(0);
    for (const SegmentName name :
         {SegmentName::es, SegmentName::ss, SegmentName::ds, SegmentName::fs, SegmentName::gs})
        e.set_segment(name, {0x200, 0xffff, 0x2000, 0xf3});
    e.set_segment(SegmentName::cs, {0x100, 0xffff, 0x1000, 0xf3});
    e.set_rflags(0x23002);  // IOPL 3, else INT is #GP
    e.flush_tlb();
    CHECK(e.cpl() == 3);
    m.ram.write<std::uint16_t>(0x2010, 0xbeef);
    m.put(0x1000, {0xa1, 0x10, 0x00, 0xcd, 0x21});  // mov ax, [0x10]; int 0x21
    m.run_from(0);
    CHECK(m.last().code == InterceptCode::software_interrupt);
    CHECK((m.engine.gpr(kRax) & 0xffff) == 0xbeef);
    CHECK(e.rip() == 3);
    e.set_rflags(2);
    CHECK(e.cpl() == 3);  // SS.DPL
}

TEST_CASE("STI and MOV SS shadow the next instruction, and an intercept in it tells") {
    Machine m;
    m.ram.write<std::uint64_t>(0x9010, 0x00cf93000000ffff);
    m.engine.set_gdtr({0x9000, 0x1f});
    m.engine.set_gpr(kRax, 0x10);
    m.put(0x1000, {0xfb, 0x0f, 0xa2, 0xf4});        // sti; cpuid; hlt
    m.put(0x1100, {0x8e, 0xd0, 0x0f, 0xa2, 0xf4});  // mov ss, eax; cpuid; hlt
    m.put(0x1200, {0xfb, 0x90, 0x0f, 0xa2});        // sti; nop; cpuid
    m.run_from(0x1000);
    CHECK(m.engine.rip() == 0x1001);
    CHECK(m.engine.interrupt_shadow());
    CHECK((m.engine.rflags() & 0x200) != 0);
    m.engine.set_interrupt_shadow(false);
    m.engine.set_rip(0x1003);
    m.engine.run();
    CHECK_FALSE(m.engine.interrupt_shadow());

    m.run_from(0x1100);
    CHECK(m.engine.rip() == 0x1102);
    CHECK(m.engine.interrupt_shadow());
    m.engine.set_interrupt_shadow(false);
    m.engine.set_rflags(2);
    m.run_from(0x1200);
    CHECK(m.engine.rip() == 0x1202);
    CHECK_FALSE(m.engine.interrupt_shadow());
}

TEST_CASE("the trap flag stops after each instruction, jumps and repeated iterations included") {
    Machine m;
    m.put(0x1000, {0x90, 0xeb, 0x02, 0xf4, 0xf4, 0xf3, 0xaa, 0xf4});  // nop; jmp +2; rep stosb; hlt
    m.engine.set_gpr(kRcx, 2);
    m.engine.set_gpr(kRdi, 0x5000);
    m.engine.set_rflags(0x102);
    std::vector<std::uint64_t> stops, bytes;
    m.processor.handle = [&](const Intercept& i) {
        if (static_cast<unsigned>(i.code) != 0x41) return false;
        stops.push_back(m.engine.rip());
        bytes.push_back(m.engine.code_bytes());
        return true;
    };
    m.run_from(0x1000);
    REQUIRE(stops.size() >= 4);
    CHECK(stops[0] == 0x1001);
    CHECK(stops[1] == 0x1005);
    CHECK(stops[2] == 0x1005);
    CHECK(bytes[0] == 1);
    CHECK(bytes[1] == 3);
    CHECK(bytes[2] == 5);
    CHECK(m.engine.gpr(kRcx) == 0);
}

TEST_CASE("a TSS is kept available for the library and shown busy") {
    Machine m;
    m.engine.set_segment(SegmentName::tr, {0x40, 0x67, 0x123456789, 0x8b});
    CHECK(m.engine.segment(SegmentName::tr) == Segment{0x40, 0x67, 0x123456789, 0x8b});
}

TEST_CASE("every part of the state reads back as written") {
    Machine m;
    Engine& e = m.engine;
    for (unsigned i = 0; i < kGprCount; ++i) e.set_gpr(i, 0x1111111111111111U * i + 3);
    for (unsigned i = 0; i < kGprCount; ++i) CHECK(e.gpr(i) == 0x1111111111111111U * i + 3);
    for (const std::uint64_t flags : {0x2ULL, 0xcd7ULL, 0x257fd7ULL, 0x246ULL}) {
        e.set_rflags(flags);
        CHECK(e.rflags() == flags);
    }
    const Segment odd = {0x7b, 0x12345, 0xffff800012345000, 0xd0f3};
    e.set_segment(SegmentName::fs, odd);
    CHECK(e.segment(SegmentName::fs) == odd);
    const Segment unusable = {0, 0, 0, 0x10000};
    e.set_segment(SegmentName::gs, unusable);
    CHECK(e.segment(SegmentName::gs) == unusable);
    e.set_segment(SegmentName::ldtr, {0x50, 0xff, 0x1000, 0x82});
    CHECK(e.segment(SegmentName::ldtr) == Segment{0x50, 0xff, 0x1000, 0x82});
    e.set_gdtr({0xffff888000001000, 0x7f});
    e.set_idtr({0xffff888000002000, 0xfff});
    CHECK(e.gdtr() == TableRegister{0xffff888000001000, 0x7f});
    CHECK(e.idtr() == TableRegister{0xffff888000002000, 0xfff});
    e.set_cr(2, 0xffffffff81234567);
    e.set_cr(3, 0x8000000123456000);
    CHECK(e.cr(2) == 0xffffffff81234567);
    CHECK(e.cr(3) == 0x8000000123456000);
    for (const unsigned i : {0U, 1U, 2U, 3U, 6U, 7U}) e.set_dr(i, 0x400 + i);
    for (const unsigned i : {0U, 1U, 2U, 3U, 6U, 7U}) CHECK(e.dr(i) == 0x400 + i);
    e.set_xcr0(3);
    CHECK(e.xcr0() == 3);
    e.set_nmi_blocked(true);
    CHECK(e.nmi_blocked());
    e.set_nmi_blocked(false);
    CHECK_FALSE(e.nmi_blocked());
}

TEST_CASE("flags set in an intercept are the guest's flags, and earlier ones leave no trace") {
    Machine m;
    // cpuid; jz +1; hlt; pushf; pop rax; hlt
    m.put(0x1000, {0x0f, 0xa2, 0x74, 0x01, 0xf4, 0x9c, 0x58, 0xf4});
    for (const std::uint64_t flags : {0x46ULL, 0xcd7ULL, 0x42ULL}) {
        m.processor.handle = [&](const Intercept& i) {
            if (i.code != InterceptCode::cpuid) return false;
            m.engine.set_rflags(0x8d7);
            m.engine.set_rflags(flags);
            CHECK(m.engine.rflags() == flags);
            m.engine.set_rip(0x1002);
            return true;
        };
        m.run_from(0x1000);
        CHECK(m.engine.rip() == 0x1007);
        CHECK(m.engine.gpr(kRax) == flags);
        CHECK(m.engine.rflags() == flags);
    }
}

TEST_CASE("FXSAVE images are those that the guest's own instruction stores") {
    Machine m;
    // fld1; fldpi; movaps xmm7, [rbx]; fxsave64 [rsi]; hlt
    m.put(0x1000, {0xd9, 0xe8, 0xd9, 0xeb, 0x0f, 0x28, 0x3b, 0x48, 0x0f, 0xae, 0x06, 0xf4});
    for (unsigned i = 0; i < 16; ++i)
        m.ram.write<std::uint8_t>(0x4000 + i, static_cast<std::uint8_t>(i + 1));
    m.engine.set_gpr(kRbx, 0x4000);
    m.engine.set_gpr(kRsi, 0x5000);
    m.run_from(0x1000);
    REQUIRE(m.last().code == InterceptCode::hlt);
    auto stored = m.peek<std::array<std::uint8_t, 512>>(0x5000);
    auto image = m.engine.fxsave();
    CHECK(std::equal(image.begin(), image.begin() + 6, stored.begin()));  // FCW, FSW, FTW
    CHECK(std::equal(image.begin() + 24, image.begin() + 28, stored.begin() + 24));  // MXCSR
    CHECK(std::equal(image.begin() + 32, image.begin() + 416, stored.begin() + 32));

    Machine other;
    other.engine.fxrstor(image);
    CHECK(other.engine.fxsave() == image);
    other.put(0x1000, {0x48, 0x0f, 0xae, 0x06, 0xf4});
    other.engine.set_gpr(kRsi, 0x5000);
    other.run_from(0x1000);
    auto again = other.peek<std::array<std::uint8_t, 512>>(0x5000);
    CHECK(std::equal(again.begin(), again.begin() + 6, stored.begin()));
    CHECK(std::equal(again.begin() + 32, again.begin() + 416, stored.begin() + 32));
}
