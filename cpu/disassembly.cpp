#include "cpu/disassembly.h"

#include <capstone/capstone.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "sim/error.h"

namespace hvsim::cpu {
namespace {

/// A disassembler for one code size; it remembers no code.
class Capstone {
  public:
    explicit Capstone(cs_mode mode) {
        SIM_ASSERT(cs_open(CS_ARCH_X86, mode, &handle_) == CS_ERR_OK);
        instruction_.reset(cs_malloc(handle_));
        SIM_ASSERT(instruction_ != nullptr);
    }
    ~Capstone() {
        instruction_.reset();
        cs_close(&handle_);
    }
    Capstone(const Capstone&) = delete;
    Capstone& operator=(const Capstone&) = delete;

    /// Valid until the next call; null: no instruction.
    const cs_insn* decode(std::span<const std::uint8_t> code, std::uint64_t rip) {
        const std::uint8_t* bytes = code.data();
        std::size_t size = code.size();
        return cs_disasm_iter(handle_, &bytes, &size, &rip, instruction_.get()) ? instruction_.get()
                                                                                : nullptr;
    }

  private:
    struct Free {
        void operator()(cs_insn* instruction) const noexcept { cs_free(instruction, 1); }
    };
    csh handle_ = 0;
    std::unique_ptr<cs_insn, Free> instruction_;
};

const cs_insn* decode(std::span<const std::uint8_t> code, unsigned bits, std::uint64_t rip) {
    static Capstone real(CS_MODE_16), protected_mode(CS_MODE_32), long_mode(CS_MODE_64);
    Capstone& capstone = bits == 16 ? real : bits == 32 ? protected_mode : long_mode;
    return capstone.decode(code, rip);
}

const cs_insn* decode(const sim::Code& code, std::uint64_t rip) {
    return decode(std::span(code.bytes).first(code.size), code.bits, rip);
}

std::string text_of(const cs_insn& instruction) {
    const std::string_view operands = instruction.op_str;
    return operands.empty() ? std::string(instruction.mnemonic)
                            : fmt::format("{} {}", instruction.mnemonic, operands);
}

}  // namespace

std::string disassemble(const sim::Code& code, std::uint64_t rip) {
    if (code.size == 0) return {};
    if (const cs_insn* in = decode(code, rip)) return text_of(*in);
    return fmt::format("bytes {:02x}",
                       fmt::join(code.bytes.begin(), code.bytes.begin() + code.size, " "));
}

std::size_t instruction_size(const sim::Code& code) {
    const cs_insn* in = decode(code, 0);
    return in != nullptr ? in->size : 0;
}

std::vector<std::string> disassembly(std::span<const std::uint8_t> bytes, CodeMode mode,
                                     std::uint64_t address, std::size_t count) {
    std::vector<std::string> lines;
    const unsigned bits = mode.long64 ? 64 : mode.default32 ? 32 : 16;
    while (lines.size() < count) {
        const cs_insn* in = decode(bytes, bits, address);
        if (in == nullptr) break;
        const auto code = bytes.first(in->size);
        lines.push_back(fmt::format("{:016x}  {:<30} {}", address,
                                    fmt::format("{:02x} ", fmt::join(code, " ")), text_of(*in)));
        bytes = bytes.subspan(in->size);
        address += in->size;
    }
    return lines;
}

}  // namespace hvsim::cpu
