#pragma once
// The VMCS region in memory (SDM 3C 25.2): revision identifier with the shadow-VMCS indicator,
// abort indicator, then a layout of the implementation's own, as on hardware: launch state, and one
// eight-byte slot a field in the order of kFieldTable. Only VMREAD and VMWRITE give it a meaning.
#include <cstdint>
#include <cstring>

#include "cpu/models/model.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/spec/fields.h"
#include "sim/ram.h"

namespace hvsim::cpu::vmx {

/// Bits of a field's width.
constexpr std::uint64_t width_mask(Field field) noexcept {
    switch (static_cast<FieldWidth>(FIELD_WIDTH::get(static_cast<std::uint32_t>(field)))) {
        case FieldWidth::bits16:
            return 0xffff;
        case FieldWidth::bits32:
            return 0xffffffff;
        default:
            return ~std::uint64_t{0};
    }
}
constexpr FieldType type_of(Field field) noexcept {
    return static_cast<FieldType>(FIELD_TYPE::get(static_cast<std::uint32_t>(field)));
}

class Region {
  public:
    static constexpr std::uint32_t kShadowIndicator = 1u << 31;

    /// `address`: 4 KiB aligned; outside of memory it reads as all ones and keeps nothing.
    Region(sim::Ram& ram, std::uint64_t address)
        : ram_(&ram),
          address_(address),
          bytes_(ram.contains(address, kRegionSize) ? ram.data() + address : nullptr) {}

    std::uint64_t address() const noexcept { return address_; }
    std::uint32_t revision_word() const noexcept { return word(kRevisionOffset); }
    bool is_shadow() const noexcept { return (revision_word() & kShadowIndicator) != 0; }
    void set_abort(std::uint32_t indicator) { ram_->write(address_ + kAbortOffset, indicator); }
    bool launched() const noexcept { return word(kLaunchOffset) == kLaunched; }
    void set_launched(bool launched) {
        ram_->write(address_ + kLaunchOffset, launched ? kLaunched : kClear);
    }

    std::uint64_t read(Field field) const noexcept {
        std::uint64_t value = ~std::uint64_t{0};
        if (bytes_ != nullptr) std::memcpy(&value, bytes_ + slot(field), sizeof value);
        return value & width_mask(field);
    }
    void write(Field field, std::uint64_t value) {
        if (bytes_ == nullptr) return;
        value &= width_mask(field);
        ram_->about_to_write(address_, kRegionSize);
        std::memcpy(bytes_ + slot(field), &value, sizeof value);
    }

    /// Many fields at once, of a region in memory.
    class Writer {
      public:
        explicit Writer(std::uint8_t* bytes) : bytes_(bytes) {}
        void operator()(Field field, std::uint64_t value) const noexcept {
            value &= width_mask(field);
            std::memcpy(bytes_ + slot(field), &value, sizeof value);
        }

      private:
        std::uint8_t* bytes_;
    };
    Writer writer() {
        ram_->about_to_write(address_, kRegionSize);
        return Writer(bytes_);
    }

  private:
    static constexpr std::uint64_t kRevisionOffset = 0, kAbortOffset = 4, kLaunchOffset = 8,
                                   kSlotsOffset = 64;
    static constexpr std::uint32_t kClear = 0, kLaunched = 1;

    static constexpr std::uint64_t slot(Field field) noexcept {
        const int position = field_position(static_cast<std::uint32_t>(field));
        return kSlotsOffset + 8 * static_cast<std::uint64_t>(position);
    }
    std::uint32_t word(std::uint64_t offset) const noexcept {
        std::uint32_t value = ~std::uint32_t{0};
        ram_->read(address_ + offset, value);
        return value;
    }

    sim::Ram* ram_;
    std::uint64_t address_;
    std::uint8_t* bytes_;  // null outside of memory
};

/// The field that an encoding means, and whether only its high half; false: no component.
bool find_component(const Model& model, std::uint32_t encoding, Field& field, bool& high) noexcept;
/// VMREAD and VMWRITE of a component by its encoding, width and high access included. False: there
/// is none. Every component may be written (IA32_VMX_MISC bit 29).
bool read_component(const Model& model, const Region& region, std::uint32_t encoding,
                    std::uint64_t& value) noexcept;
bool write_component(const Model& model, Region& region, std::uint32_t encoding,
                     std::uint64_t value);

}  // namespace hvsim::cpu::vmx
