#pragma once
// A guest program as the linker left it in the build folder: its bytes at their addresses, and the
// addresses of its labels.
#include <elf.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/ram.h"

namespace hvsim::cpu::programs {

class Program {
  public:
    explicit Program(const std::string& name) : name_(name) {
        const std::string path = std::string(HVSIM_BINARY_DIR) + "/guest-programs/" + name + ".elf";
        std::ifstream file(path, std::ios::binary);
        image_.assign(std::istreambuf_iterator<char>(file), {});
        if (image_.size() < sizeof(Elf64_Ehdr) || std::memcmp(image_.data(), ELFMAG, SELFMAG) != 0)
            throw std::runtime_error("no guest program in " + path);
        header_ = at<Elf64_Ehdr>(0);
    }

    void load(sim::Ram& ram) const {
        for (unsigned i = 0; i < header_.e_phnum; ++i) {
            const auto segment = at<Elf64_Phdr>(header_.e_phoff + i * sizeof(Elf64_Phdr));
            if (segment.p_type != PT_LOAD) continue;
            const auto* bytes = reinterpret_cast<const std::uint8_t*>(image_.data());
            if (segment.p_offset + segment.p_filesz > image_.size() ||
                !ram.write_bytes(segment.p_paddr, {bytes + segment.p_offset, segment.p_filesz}))
                throw std::runtime_error("guest program " + name_ + " is out of bounds");
        }
    }

    /// Address of a label.
    std::uint64_t operator[](const std::string& label) const {
        for (unsigned i = 0; i < header_.e_shnum; ++i) {
            const auto section = section_at(i);
            if (section.sh_type != SHT_SYMTAB) continue;
            const std::uint64_t names = section_at(section.sh_link).sh_offset;
            for (std::uint64_t s = 0; s < section.sh_size; s += sizeof(Elf64_Sym)) {
                const auto symbol = at<Elf64_Sym>(section.sh_offset + s);
                if (label == image_.data() + names + symbol.st_name) return symbol.st_value;
            }
        }
        throw std::runtime_error("guest program " + name_ + " has no label " + label);
    }

  private:
    template <typename T>
    T at(std::uint64_t offset) const {
        static_assert(std::is_trivially_copyable_v<T>);
        if (offset + sizeof(T) > image_.size())
            throw std::runtime_error("guest program " + name_ + " is cut short");
        T value;
        std::memcpy(&value, image_.data() + offset, sizeof value);
        return value;
    }
    Elf64_Shdr section_at(unsigned index) const {
        return at<Elf64_Shdr>(header_.e_shoff + index * sizeof(Elf64_Shdr));
    }

    std::string name_;
    std::vector<char> image_;
    Elf64_Ehdr header_{};
};

}  // namespace hvsim::cpu::programs
