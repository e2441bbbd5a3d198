---
title:
  vi: Mức ồn giờ (LAeq)
  en: Hourly noise level (LAeq)
words:
  vi: >-
    Mức ồn tương đương của từng giờ tại trạm: trung bình năng lượng của các mức ồn hợp lệ trong giờ,
    10·log₁₀ của trung bình 10^(L/10), không phải trung bình cộng. So với giá trị giới hạn theo khu vực
    đặt trạm (đặc biệt hoặc thông thường) và theo giờ: ngày từ 6 giờ đến 21 giờ, đêm từ 21 giờ đến 6
    giờ. Trạm chưa ghi khu vực thì không so. Giờ gọi theo lúc kết thúc.
  en: >-
    The equivalent noise level of each hour at a station: the mean energy of the hour's valid levels,
    10·log₁₀ of the mean of 10^(L/10), not the mean of levels. Compared with the limit of the
    station's area (special or common) and of the hour: the day is 6 to 21 o'clock, the night 21 to 6.
    A station without an area is not compared. An hour is named by its end.
source: QCVN 26:2010/BTNMT (Thông tư 39/2010/TT-BTNMT)
verify:
  vi: >-
    Giá trị giới hạn đang dùng là của QCVN 26:2010/BTNMT. Quy chuẩn này đã được thay bằng QCVN
    26:2025/BNNMT (Thông tư 01/2025/TT-BNNMT ngày 15/5/2025); phải cập nhật bảng giới hạn mới và ngày
    áp dụng.
  en: >-
    The limits in use are those of QCVN 26:2010/BTNMT. It was replaced by QCVN 26:2025/BNNMT (Circular
    01/2025/TT-BNNMT of 15 May 2025); the new table and the date it applies from must be entered.
inputs:
  noise: [laeq]
key: [station]
period: {grain: hour, zone: Asia/Ho_Chi_Minh}
freshness: PT3H
better: lower
outputs:
  laeq:
    title: {vi: Mức ồn tương đương giờ, en: Hourly equivalent level}
    unit: dB(A)
    decimals: 1
  noise_limit:
    title: {vi: Giá trị giới hạn, en: Limit}
    better: none
    unit: dB(A)
    decimals: 0
  over:
    title: {vi: Vượt giá trị giới hạn, en: Above the limit}
    unit: dB
    decimals: 1
thresholds:
  - output: over
    above: 0
    valid: {from: 2010-12-16}
    severity: notice
    title: {vi: Tiếng ồn vượt giá trị giới hạn, en: Noise over the limit}
    source: QCVN 26:2010/BTNMT, giới hạn theo khu vực và theo giờ
    verify: true
---
SELECT station, time, laeq, noise_limit, over
FROM noise_hourly((SELECT stream, time, power(10, value / 10) AS value FROM noise WHERE usable))
