#pragma once
// What the processor's registers hold when firmware or a loader hands over.
#include <array>
#include <cstdint>

namespace hvsim::devices::firmware {

/// A segment register. `attributes`: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15,
/// unusable 16 (SDM 3C table 25-2).
struct BootSegment {
    std::uint16_t selector = 0;
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    std::uint32_t attributes = 0;
    bool operator==(const BootSegment&) const = default;
};

/// General registers in the encoding order of the instruction set (SDM 2A table 2-2).
enum class BootRegister : std::uint8_t {
    rax,
    rcx,
    rdx,
    rbx,
    rsp,
    rbp,
    rsi,
    rdi,
    r8,
    r9,
    r10,
    r11,
    r12,
    r13,
    r14,
    r15
};
inline constexpr std::size_t kBootRegisters = 16;

/// Registers of the first processor at its start; the IDT register is 0 with `idt_limit`.
struct StartState {
    BootSegment cs, ds, es, ss, fs, gs, tr, ldtr;
    std::uint64_t gdt_base = 0;
    std::uint16_t gdt_limit = 0;
    std::uint16_t idt_limit = 0;
    std::uint64_t cr0 = 0;
    std::uint64_t cr3 = 0;
    std::uint64_t cr4 = 0;
    std::uint64_t efer = 0;
    std::uint64_t rip = 0;
    std::uint64_t rflags = 2;
    std::array<std::uint64_t, kBootRegisters> gpr{};

    std::uint64_t& operator[](BootRegister name) { return gpr[static_cast<std::size_t>(name)]; }
    std::uint64_t operator[](BootRegister name) const {
        return gpr[static_cast<std::size_t>(name)];
    }
};

}  // namespace hvsim::devices::firmware
