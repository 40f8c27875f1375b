#include "cpu/disassembly.h"

#include <capstone/capstone.h>
#include <fmt/format.h>

namespace hvsim::cpu {

std::vector<std::string> disassembly(std::span<const std::uint8_t> bytes, CodeMode mode,
                                     std::uint64_t address, std::size_t count) {
    std::vector<std::string> lines;
    const cs_mode bits = mode.long64 ? CS_MODE_64 : mode.default32 ? CS_MODE_32 : CS_MODE_16;
    csh handle = 0;
    if (cs_open(CS_ARCH_X86, bits, &handle) != CS_ERR_OK) return lines;
    cs_insn* found = nullptr;
    const std::size_t instructions =
        cs_disasm(handle, bytes.data(), bytes.size(), address, count, &found);
    for (std::size_t i = 0; i < instructions; ++i) {
        std::string code;
        for (unsigned byte = 0; byte < found[i].size; ++byte)
            code += fmt::format("{:02x} ", found[i].bytes[byte]);
        std::string line = fmt::format("{:016x}  {:<30} {} {}", found[i].address, code,
                                       found[i].mnemonic, found[i].op_str);
        line.erase(line.find_last_not_of(' ') + 1);
        lines.push_back(std::move(line));
    }
    if (instructions > 0) cs_free(found, instructions);
    cs_close(&handle);
    return lines;
}

}  // namespace hvsim::cpu
