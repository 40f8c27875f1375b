// x87, MMX and SSE state in the image of FXSAVE (SDM 1 10.5.1, table 10-2).
#include "cpu/engine/engine_impl.h"

namespace hvsim::cpu::engine {
namespace {

constexpr std::size_t kControl = 0, kStatus = 2, kTags = 4, kOpcode = 6, kInstruction = 8,
                      kData = 16, kMxcsr = 24, kMxcsrMask = 28, kRegisters = 32, kXmm = 160;
constexpr std::size_t kRegisterStride = 16, kRegisterBytes = 10;
constexpr unsigned kXmmCount = 16;
constexpr std::uint32_t kMxcsrBits = 0xffff;

using Image = std::array<std::uint8_t, 512>;

template <typename T>
void put(Image& image, std::size_t at, T value) {
    std::memcpy(image.data() + at, &value, sizeof value);
}
template <typename T>
T get(const Image& image, std::size_t at) {
    T value;
    std::memcpy(&value, image.data() + at, sizeof value);
    return value;
}
template <typename T>
T read(uc_engine* uc, int name) {
    T value{};
    uc_reg_read(uc, name, &value);
    return value;
}

}  // namespace

std::array<std::uint8_t, 512> Engine::fxsave() const {
    uc_engine* const uc = impl_->uc;
    Image image{};
    put(image, kControl, read<std::uint16_t>(uc, UC_X86_REG_FPCW));
    put(image, kStatus, read<std::uint16_t>(uc, UC_X86_REG_FPSW));
    const auto tags = read<std::uint16_t>(uc, UC_X86_REG_FPTAG);
    std::uint8_t used = 0;  // one bit a register: not empty
    for (unsigned i = 0; i < 8; ++i)
        if ((tags >> (2 * i) & 3) != 3) used = static_cast<std::uint8_t>(used | 1U << i);
    put(image, kTags, used);
    put(image, kOpcode,
        static_cast<std::uint16_t>(read<std::uint16_t>(uc, UC_X86_REG_FOP) & 0x7ff));
    put(image, kInstruction, read<std::uint64_t>(uc, UC_X86_REG_FIP));
    put(image, kData, read<std::uint64_t>(uc, UC_X86_REG_FDP));
    put(image, kMxcsr, read<std::uint32_t>(uc, UC_X86_REG_MXCSR));
    put(image, kMxcsrMask, kMxcsrBits);
    for (int i = 0; i < 8; ++i) {
        const auto value = read<std::array<std::uint8_t, kRegisterStride>>(uc, UC_X86_REG_ST0 + i);
        std::memcpy(image.data() + kRegisters + static_cast<std::size_t>(i) * kRegisterStride,
                    value.data(), kRegisterBytes);
    }
    for (unsigned i = 0; i < kXmmCount; ++i) {
        const int name = UC_X86_REG_XMM0 + static_cast<int>(i);
        put(image, kXmm + i * 16, read<std::array<std::uint8_t, 16>>(uc, name));
    }
    return image;
}

void Engine::fxrstor(const std::array<std::uint8_t, 512>& image) {
    uc_engine* const uc = impl_->uc;
    const auto write = [uc](int name, auto value) { uc_reg_write(uc, name, &value); };
    write(UC_X86_REG_FPCW, get<std::uint16_t>(image, kControl));
    // Before the registers: they are written relative to TOP.
    write(UC_X86_REG_FPSW, get<std::uint16_t>(image, kStatus));
    const auto used = get<std::uint8_t>(image, kTags);
    std::uint16_t tags = 0;
    for (unsigned i = 0; i < 8; ++i)
        if ((used >> i & 1) == 0) tags = static_cast<std::uint16_t>(tags | 3U << (2 * i));
    write(UC_X86_REG_FPTAG, tags);
    write(UC_X86_REG_FOP, static_cast<std::uint16_t>(get<std::uint16_t>(image, kOpcode) & 0x7ff));
    write(UC_X86_REG_FIP, get<std::uint64_t>(image, kInstruction));
    write(UC_X86_REG_FDP, get<std::uint64_t>(image, kData));
    write(UC_X86_REG_MXCSR,
          static_cast<std::uint32_t>(get<std::uint32_t>(image, kMxcsr) & kMxcsrBits));
    for (int i = 0; i < 8; ++i) {
        std::array<std::uint8_t, kRegisterStride> value{};
        std::memcpy(value.data(),
                    image.data() + kRegisters + static_cast<std::size_t>(i) * kRegisterStride,
                    kRegisterBytes);
        write(UC_X86_REG_ST0 + i, value);
    }
    for (unsigned i = 0; i < kXmmCount; ++i)
        write(UC_X86_REG_XMM0 + static_cast<int>(i),
              get<std::array<std::uint8_t, 16>>(image, kXmm + i * 16));
}

}  // namespace hvsim::cpu::engine
