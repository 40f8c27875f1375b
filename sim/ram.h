#pragma once
// The simulated host's system memory. Page walkers, DMA and the engines share these bytes.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace hvsim::sim {

inline constexpr std::uint64_t kPageSize = 4096;
inline constexpr unsigned kPageShift = 12;
constexpr std::uint64_t page_of(std::uint64_t address) noexcept {
    return address >> kPageShift;
}
constexpr std::uint64_t page_base(std::uint64_t address) noexcept {
    return address & ~(kPageSize - 1);
}

/// Told before a model changes bytes of a page that execution engines hold translated code of.
class CodeWriteObserver {
  public:
    virtual ~CodeWriteObserver() = default;
    virtual void code_page_written(std::uint64_t page) = 0;
};

/// A run of system memory, in bytes.
struct RamPiece {
    std::uint64_t base = 0, length = 0;
    constexpr std::uint64_t end() const noexcept { return base + length; }
    bool operator==(const RamPiece&) const = default;
};

/// System physical memory from 0, little endian, zero at start; pages never touched take no host
/// memory. What does not fit below the device hole goes on at 4 GiB. All accesses are
/// bounds-checked values: an access that is not wholly inside memory returns false (writes) or
/// leaves the output untouched and returns false (reads).
class Ram {
  public:
    static constexpr std::uint64_t kHighBase = std::uint64_t{1} << 32;

    /// `size` in bytes, a multiple of 4096; throws ConfigError when the host cannot reserve it.
    explicit Ram(std::uint64_t size) : Ram(size, size) {}
    /// Memory below 4 GiB ends at `hole_base` (a multiple of 4096) at the latest.
    Ram(std::uint64_t size, std::uint64_t hole_base);
    ~Ram();
    Ram(const Ram&) = delete;
    Ram& operator=(const Ram&) = delete;

    /// Installed memory, in bytes.
    std::uint64_t size() const noexcept { return size_; }
    /// The address behind the last byte.
    std::uint64_t end() const noexcept { return end_; }
    /// The memory in ascending order: one piece, or two with the hole between them.
    std::vector<RamPiece> pieces() const;
    /// Host address of physical address 0, for DMI and the engines. Writers through this pointer
    /// call about_to_write() first.
    std::uint8_t* data() noexcept { return data_; }
    const std::uint8_t* data() const noexcept { return data_; }

    bool contains(std::uint64_t address, std::uint64_t length) const noexcept {
        if (length <= low_ && address <= low_ - length) return true;
        return address >= kHighBase && length <= end_ && address <= end_ - length;
    }

    template <typename T>
    bool read(std::uint64_t address, T& value) const noexcept {
        static_assert(std::is_trivially_copyable_v<T>);
        if (!contains(address, sizeof(T))) return false;
        std::memcpy(&value, data_ + address, sizeof(T));
        return true;
    }
    template <typename T>
    bool write(std::uint64_t address, const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (!contains(address, sizeof(T))) return false;
        about_to_write(address, sizeof(T));
        std::memcpy(data_ + address, &value, sizeof(T));
        return true;
    }
    bool read_bytes(std::uint64_t address, std::span<std::uint8_t> out) const noexcept;
    bool write_bytes(std::uint64_t address, std::span<const std::uint8_t> in);
    bool fill(std::uint64_t address, std::uint64_t length, std::uint8_t value);

    /// Marks or unmarks a page as holding translated code (the engine layer's bookkeeping).
    void set_code_page(std::uint64_t page, bool code) noexcept { code_[page] = code; }
    bool is_code_page(std::uint64_t page) const noexcept { return code_[page] != 0; }
    void set_code_write_observer(CodeWriteObserver* observer) noexcept { observer_ = observer; }
    /// Drops translated code of the pages of [address, address+length); cheap when there is none.
    void about_to_write(std::uint64_t address, std::uint64_t length) {
        const std::uint64_t last = page_of(address + length - 1);
        for (std::uint64_t page = page_of(address); page <= last; ++page)
            if (code_[page] != 0) notify_code_write(page);
    }

  private:
    void notify_code_write(std::uint64_t page);

    std::uint64_t size_;
    std::uint64_t low_;  // bytes below the hole
    std::uint64_t end_;
    std::uint8_t* data_ = nullptr;
    std::uint8_t* code_ = nullptr;  // one byte a page: nonzero = some engine holds code of it
    CodeWriteObserver* observer_ = nullptr;
};

}  // namespace hvsim::sim
