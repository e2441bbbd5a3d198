---
title:
  vi: VN_AQI giờ
  en: Hourly VN_AQI
words:
  vi: >-
    Chỉ số chất lượng không khí Việt Nam của từng giờ tại trạm: lấy số lớn nhất trong các chỉ số
    thành phần. Bụi PM2.5 và PM10 dùng giá trị NowCast của 12 giờ gần nhất (cần ít nhất 2 trong 3
    giờ gần nhất); O₃, NO₂, SO₂, CO dùng trung bình 1 giờ. Phải có PM2.5 hoặc PM10. Làm tròn đến số
    nguyên, nửa làm tròn lên. Giờ gọi theo lúc kết thúc.
  en: >-
    The Vietnamese air quality index of each hour at a station: the largest of the pollutants'
    indices. PM2.5 and PM10 enter with the NowCast of the last 12 hours (at least 2 of the latest 3
    must be there); O₃, NO₂, SO₂ and CO with their 1-hour mean. PM2.5 or PM10 is required. Rounded
    to a whole number, halves up. An hour is named by its end.
source: Quyết định 1459/QĐ-TCMT ngày 12/11/2019, mục 2.2
inputs:
  air_quality: [pm25, pm10, o3, no2, so2, co]
key: [station]
period: {grain: hour, zone: Asia/Ho_Chi_Minh}
# The NowCast of an hour rests on the eleven hours before it.
lookback: PT11H
freshness: PT3H
better: lower
outputs:
  aqi:
    title: {vi: VN_AQI giờ, en: Hourly VN_AQI}
    unit: "1"
    decimals: 0
  dominant:
    title: {vi: Chất có chỉ số lớn nhất, en: Pollutant with the largest index}
    unit: "1"
    decimals: 0
    labels:
      0: {vi: PM2.5, en: PM2.5}
      1: {vi: PM10, en: PM10}
      2: {vi: O₃ 8 giờ, en: O₃ 8 h}
      3: {vi: O₃, en: O₃}
      4: {vi: NO₂, en: NO₂}
      5: {vi: SO₂, en: SO₂}
      6: {vi: CO, en: CO}
  aqi_pm25: {title: {vi: AQI PM2.5, en: AQI of PM2.5}, unit: "1", decimals: 0}
  aqi_pm10: {title: {vi: AQI PM10, en: AQI of PM10}, unit: "1", decimals: 0}
  aqi_o3: {title: {vi: AQI O₃, en: AQI of O₃}, unit: "1", decimals: 0}
  aqi_no2: {title: {vi: AQI NO₂, en: AQI of NO₂}, unit: "1", decimals: 0}
  aqi_so2: {title: {vi: AQI SO₂, en: AQI of SO₂}, unit: "1", decimals: 0}
  aqi_co: {title: {vi: AQI CO, en: AQI of CO}, unit: "1", decimals: 0}
# The classes are the Decision's; from which class on somebody is called is the province's choice.
thresholds:
  - output: aqi
    above: 150
    valid: {from: 2019-11-12}
    severity: warning
    title: {vi: Chất lượng không khí xấu, en: Bad air}
    source: Quyết định 1459/QĐ-TCMT, mức “Xấu” (151–200)
  - output: aqi
    above: 200
    valid: {from: 2019-11-12}
    severity: urgent
    title: {vi: Chất lượng không khí rất xấu, en: Very bad air}
    source: Quyết định 1459/QĐ-TCMT, mức “Rất xấu” (201–300)
  - output: aqi
    above: 300
    valid: {from: 2019-11-12}
    severity: urgent
    title: {vi: Chất lượng không khí nguy hại, en: Hazardous air}
    source: Quyết định 1459/QĐ-TCMT, mức “Nguy hại” (301–500)
---
SELECT station, time, aqi, dominant,
       aqi_pm25, aqi_pm10, aqi_o3, aqi_no2, aqi_so2, aqi_co
FROM vn_aqi_hourly((SELECT stream, time, value FROM air_quality WHERE usable))
